// Takes a technician's day off this device where somebody signs out, or nobody is signed in: names, numbers, addresses.
// What was done and waits to be sent stays.
(() => {
  "use strict";

  // Makes no store where there is none: a browser would think it whole.
  const forget = () =>
    new Promise((resolve, reject) => {
      const asked = indexedDB.open("firstlight-field");
      let isNone = false;
      asked.onupgradeneeded = () => {
        isNone = true;
        asked.transaction.abort();
      };
      asked.onerror = () => (isNone ? resolve() : reject(asked.error));
      asked.onsuccess = () => {
        const transaction = asked.result.transaction("kept", "readwrite", { durability: "strict" });
        transaction.objectStore("kept").clear();
        transaction.oncomplete = () => resolve(asked.result.close());
        transaction.onabort = () => reject(transaction.error);
      };
    });

  // Windows that show a day let go of it first, or they would keep it again. ``token``: of the session that ends.
  const end = (token) => {
    window.dispatchEvent(new CustomEvent("firstlight-over", { detail: token }));
    const others = new BroadcastChannel("firstlight-over");
    others.postMessage(token);
    others.close();
    return forget();
  };

  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.getAttribute("action") !== "/sign-out") return;
    event.preventDefault();
    try {
      await end(form.elements.form_token.value);
    } finally {
      form.submit();
    }
  });
  if (document.body.hasAttribute("data-signed-out")) end(null);
})();
