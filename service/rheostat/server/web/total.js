// Another total: what the curves would be with it, then it is set.
import { html, useState } from "./vendor/standalone.module.js";
import { ask, runPath, useRehearsal } from "./api.js";
import { Preview } from "./change.js";
import { faults } from "./form.js";
import { announce } from "./places.js";
import { Act, Dialog, End, Force, Message, Text, Trouble } from "./parts.js";
import { count, units } from "./words.js";

/** @param {{seen: import("./run.js").Seen, close: () => void}} props */
export function Total({ seen, close }) {
  const { run, settled } = seen;
  const path = `${runPath(run.name)}/total`;
  const [total, setTotal] = useState(String(run.total || settled));
  const [message, setMessage] = useState("");
  const [force, setForce] = useState(false);
  const body = { total: Number(total), force };
  const { data, error } = useRehearsal(path, body, seen.news);
  const set = () =>
    ask("POST", path, { body: { ...body, message, expected_revision: run.revision } }).then(
      (made) => (announce(`The total is ${count(made.total)}`), seen.again(), close()),
    );
  return html`<${Dialog} title=${`Total of ${run.name}`} close=${close} wide=${true}>
    <form class="change" onSubmit=${(e) => e.preventDefault()}><div class="editing">
      <p>Lengths that are a share of the total, or its rest, end where their words put them then. What has passed
        stays, and so does what was fixed in numbers.</p>
      <${Text} id="total" title=${`total ${units(run.axis)}`} number value=${total} set=${setTotal}
        fault=${faults(error).get("total")} />
      <${Message} id="total-message" value=${message} set=${setMessage} />
      ${(force || error?.code === "guard-violated") && html`<${Force} value=${force} set=${setForce} />`}
    </div>
    <div class="previewed" aria-live="polite"><${Trouble} error=${error} shown="total" />
      ${data && html`<${Preview} data=${data} run=${run} />`}</div>
    <${End} close=${close}><${Act} kind="primary"
      disabled=${!data || data.total === run.total} act=${set}>Set the total</${Act}></${End}></form></${Dialog}>`;
}
