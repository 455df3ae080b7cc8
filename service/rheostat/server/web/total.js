// Another total: what the curves would be with it, then it is set.
import { html, useState } from "./vendor/standalone.module.js";
import { ask, runPath, useAnswer } from "./api.js";
import { Preview } from "./change.js";
import { faults } from "./form.js";
import { announce } from "./places.js";
import { Act, Dialog, Message, Text, Trouble, useSettled } from "./parts.js";
import { count, units } from "./words.js";

/** @param {{seen: import("./run.js").Seen, close: () => void}} props */
export function Total({ seen, close }) {
  const { run, settled } = seen;
  const path = `${runPath(run.name)}/total`;
  const [total, setTotal] = useState(String(run.total || settled));
  const [message, setMessage] = useState("");
  const [force, setForce] = useState(false);
  const body = { total: Number(total), force };
  const asked = useSettled(JSON.stringify(body), 150);
  const { data, error } = useAnswer(path, asked, [seen.news], { query: { dry_run: true } });
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
      ${(force || error?.code === "guard-violated") && html`<label class="check"><input type="checkbox"
        checked=${force} onChange=${(e) => setForce(e.target.checked)} />
        Break the guard: the history says so</label>`}
    </div>
    <div class="previewed" aria-live="polite"><${Trouble} error=${error} shown="total" />
      ${data && html`<${Preview} data=${data} run=${run} />`}</div>
    <div class="bar end"><button type="button" onClick=${close}>Close</button><${Act} kind="primary"
      disabled=${!data || data.total === run.total} act=${set}>Set the total</${Act}></div></form></${Dialog}>`;
}
