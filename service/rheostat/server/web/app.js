// Where the service is: this file is at static/{digest}/app.js below it, whatever is before that.
export const root = new URL("../../", import.meta.url);

fetch(new URL("v1/session", root))
  .then((answer) => answer.json())
  .then((session) => {
    document.getElementById("page").textContent = JSON.stringify(session);
  });
