// Going back: what it drops is shown first, and the run's name has to be typed. A fork drops nothing.
import { html, useState } from "./vendor/standalone.module.js";
import { ROOT, ask, runPath, useRehearsal } from "./api.js";
import { announce, go } from "./places.js";
import { Act, Dialog, End, Message, Sure, Text, Trouble } from "./parts.js";
import { ago, count, some, told } from "./words.js";

/** @typedef {{seen: import("./run.js").Seen, place: import("./tree.js").Place, close: () => void}} Props */

/** @param {{data: any}} props */
const Saved = ({ data }) =>
  data.checkpoint
    ? html`<li>A training can resume from <b>${data.checkpoint.tag || "a checkpoint"}</b> of step <b
      class="num">${count(data.checkpoint.step)}</b>, saved ${ago(data.checkpoint.at)}
      ${data.checkpoint.uri && html` at <code>${data.checkpoint.uri}</code>`}</li>`
    : html`<li>${data.checkpoint === null ? "No checkpoint is known at or below this step" : "Which checkpoints there are was never said"}
      </li>`;

/** @param {{revisions: import("./wire").LeftBehind, verb: string}} props */
const Left = ({ revisions, verb }) =>
  revisions.many
    ? html`<li>${some(revisions.many, "revision")} ${verb}:<ul>${revisions.items.map((one) => html`<li>
      ${one.revision}, at ${count(one.effective)}: ${told(one).join("; ")}</li>`)}</ul></li>`
    : html`<li>No revision ${verb}</li>`;

/** @param {Props} props */
export function Rewind({ seen, place, close }) {
  const { run } = seen;
  const path = `${runPath(run.name)}/rewind`;
  const [to, setTo] = useState(String(place.to));
  const [message, setMessage] = useState("");
  const [name, setName] = useState("");
  const body = { to: Number(to), from_generation: place.generation };
  const { data, error } = useRehearsal(path, body, seen.news);
  const rewind = () =>
    ask("POST", path, { body: { ...body, expected_generation: run.generation, message } }).then(
      (made) => (
        announce(`Generation ${made.generation} goes on from ${count(made.from)}`),
        seen.again(),
        close()
      ),
    );
  return html`<${Dialog} title=${`Rewind ${run.name}`} close=${close}>
    <p>A new generation goes on from a step of G${place.generation}. Its past is kept, bit for bit;
      workers of the present one are fenced off, and have to be started again from a checkpoint.</p>
    <${Text} id="to" title="to step" number value=${to} set=${setTo} />
    <${Trouble} error=${error} />
    ${
      data &&
      html`<ul class="effects"><li><b>${data.workers == null ? "No worker" : some(data.workers, "worker")}
        </b> ${data.workers === 1 ? "is" : "are"} fenced off; what was served from ${count(data.from)} to ${count(data.ended)} is left behind</li>
        <${Saved} data=${data} /><${Left} revisions=${data.revisions} verb="dropped" />
      ${data.again.map((one) => html`<li>The change that ${one.controller} decided on step ${count(one.step)} is made again, at ${count(one.effective)}
        </li>`)}${data.dropped.map((one) => html`<li>The ${one.decision} that ${one.controller} decided on step ${count(one.step)} is dropped</li>`)}
        </ul>${data.warnings.map((one) => html`<p class="banner warn">${one}</p>`)}`
    }
    <${Message} id="rewind-message" value=${message} set=${setMessage} />
    <${Sure} id="sure" name=${run.name} value=${name} set=${setName} />
    <${End} close=${close}><${Act} kind="danger"
      disabled=${!data || name !== run.name} act=${rewind}>Rewind to ${count(Number(to))}</${Act}></${End}>
      </${Dialog}>`;
}

/** @param {Props} props */
export function Fork({ seen, place, close }) {
  const { run } = seen;
  const [step, setStep] = useState(String(place.to));
  const [name, setName] = useState(`${run.name}-fork`);
  const body = { name, from: { run: run.name, generation: place.generation, step: Number(step) } };
  const { data, error } = useRehearsal("runs", body, seen.news);
  const fork = () =>
    ask("POST", "runs", { body }).then((made) => go(`${ROOT.pathname}${runPath(made.name)}`));
  return html`<${Dialog} title=${`Fork ${run.name}`} close=${close}>
    <p>A new run has this one's past up to a step of G${place.generation}, and goes its own way from there.
      Nothing happens to ${run.name}.</p>
    <${Text} id="fork-name" title="name of the new run" value=${name} set=${setName} /><${Text} id="fork-step"
      title="from step" number value=${step} set=${setStep} />
    <${Trouble} error=${error} />
    ${data && html`<ul class="effects"><${Saved} data=${data} /><${Left} revisions=${data.revisions}
      verb="left out" />${data.controllers.length > 0 && html`<li>It has the controllers ${data.controllers.join(", ")}, with what they remember</li>`}
      </ul>${data.warnings.map((one) => html`<p class="banner warn">${one}</p>`)}`}
    <${End} close=${close}><${Act} kind="primary" disabled=${!data}
      act=${fork}>Fork</${Act}></${End}></${Dialog}>`;
}
