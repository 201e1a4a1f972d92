// What the technician's page keeps on the device: the day as it was last seen, and what was done there, act by act.
(() => {
  "use strict";
  const field = (window.field = window.field || {});

  const opened = new Promise((resolve, reject) => {
    const asked = indexedDB.open("firstlight-field", 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("acts", { keyPath: "number", autoIncrement: true });
      asked.result.createObjectStore("kept");
    };
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });

  // Resolves when the transaction is over: what is said to be kept is on the device.
  const within = async (store, mode, ask) => {
    const database = await opened;
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(store, mode, { durability: "strict" });
      const asked = ask(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = () => reject(transaction.error);
    });
  };

  // Without a secure context there is no randomUUID, but there is chance.
  const newKey = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  const fresh = (act) => ({ ...act, key: newKey(), made_at: new Date().toISOString(), state: "waits" });

  field.store = {
    day: () => within("kept", "readonly", (store) => store.get("day")),
    keepDay: (day) => within("kept", "readwrite", (store) => store.put(day, "day")),
    forgetDay: () => within("kept", "readwrite", (store) => store.clear()),
    // In the order in which they were made.
    acts: () => within("acts", "readonly", (store) => store.getAll()),
    // An act has its key from here on, however often it is sent.
    add: (act) => within("acts", "readwrite", (store) => store.add(fresh(act))),
    // Another act in the place of one that was refused: what waits behind that one still comes after it.
    instead: (number, act) => within("acts", "readwrite", (store) => store.put({ ...fresh(act), number })),
    act: (number) => within("acts", "readonly", (store) => store.get(number)),
    // What was taken away meanwhile stays away.
    change: (number, changes) =>
      within("acts", "readwrite", (store) => {
        const asked = store.get(number);
        asked.onsuccess = () => asked.result && store.put({ ...asked.result, ...changes });
        return asked;
      }),
    remove: (number) => within("acts", "readwrite", (store) => store.delete(number)),
  };
})();
