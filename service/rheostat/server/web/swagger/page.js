// The document beside this page, with requests sent to where it lies: below a proxy's path, too.
fetch("openapi.json")
  .then((answer) => answer.json())
  .then((spec) => {
    const here = new URL(".", document.baseURI).href.replace(/\/$/, "");
    SwaggerUIBundle({
      spec: { ...spec, servers: [{ url: here }] },
      dom_id: "#page",
      deepLinking: true,
      validatorUrl: null,
    });
  });
