// Shows the document of this very service. What is typed into "Authorize" stays in the page and is gone with it.
SwaggerUIBundle({
    dom_id: "#documentation",
    url: "/openapi.json",
    deepLinking: true,
    docExpansion: "list",
    persistAuthorization: false,
    validatorUrl: null,
});
