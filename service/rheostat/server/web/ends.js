// Ends that cannot be taken back: a run is finished, which keeps everything, or deleted, which keeps nothing.
import { html, useState } from "./vendor/standalone.module.js";
import { ask, runPath } from "./api.js";
import { announce, go } from "./places.js";
import { Act, Dialog, End, Message, Sure, Text } from "./parts.js";
import { count, some, steps } from "./words.js";

/** @typedef {{seen: import("./run.js").Seen, close: () => void}} Props */

/** @param {Props} props */
export function Finish({ seen, close }) {
  const { run, settled } = seen;
  const [end, setEnd] = useState("");
  const [message, setMessage] = useState("");
  const body = { message, ...(end ? { end: Number(end) } : {}) };
  const finish = () =>
    ask("POST", `${runPath(run.name)}/finish`, { body }).then(
      (made) => (announce(`The run is finished at ${count(made.end)}`), seen.again(), close()),
    );
  return html`<${Dialog} title=${`Finish ${run.name}`} close=${close}>
    <p>No step from its end on has a value, and every worker ends there. The run, its history and its values are
      kept; nothing can be changed any more. To be able to go on later, stop it instead.</p>
    <${Text} id="finish-end" title=${html`end <span class="soft">optional</span>`} number value=${end} set=${setEnd}
      placeholder=${`where it is settled to: ${count(settled)}`} />
    <${Message} id="finish-message" value=${message} set=${setMessage} />
    <${End} close=${close}><${Act} kind="danger"
      act=${finish}>Finish the run</${Act}></${End}></${Dialog}>`;
}

/** @param {Props} props */
export function Delete({ seen, close }) {
  const { run, workers, settled } = seen;
  const [name, setName] = useState("");
  const alive = workers?.alive || 0;
  const remove = () =>
    ask("DELETE", runPath(run.name)).then(() => (announce(`The run ${run.name} is deleted`), go("")));
  return html`<${Dialog} title=${`Delete ${run.name}`} close=${close}>
    <p>Nothing of it is kept, and nobody can bring it back:</p>
    <ul class="effects"><li>the values of ${steps(settled, run.axis)} that were served, reports and checkpoints that are known</li>
      <li>its history of ${some(run.revision, "revision")} in ${some(run.generations.length, "generation")}</li>
      ${alive > 0 && html`<li><b>${some(alive, "worker")}</b>
        ${alive === 1 ? " trains" : " train"} it now, and will end with an error</li>`}</ul>
    <${Sure} id="delete-sure" name=${run.name} value=${name} set=${setName} />
    <${End} close=${close}><${Act} kind="danger" disabled=${name !== run.name}
      act=${remove}>Delete the run</${Act}></${End}></${Dialog}>`;
}
