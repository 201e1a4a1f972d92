// Reads an ONT's label: by the camera, or from a photo. The browser's own reader, or else one in WebAssembly.
(() => {
  "use strict";
  const field = (window.field = window.field || {});
  const FORMATS = ["code_128", "code_39", "data_matrix", "qr_code"];
  const LOOK_EVERY_MS = 250;
  let reader = null;

  const ownReader = async () => {
    if (!("BarcodeDetector" in window)) return null;
    const known = await BarcodeDetector.getSupportedFormats();
    const formats = FORMATS.filter((format) => known.includes(format));
    if (!formats.length) return null;
    const detector = new BarcodeDetector({ formats });
    return async (bitmap) => (await detector.detect(bitmap)).map((found) => found.rawValue);
  };

  const pixelsOf = (bitmap) => {
    const canvas = document.createElement("canvas");
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
    const drawn = canvas.getContext("2d", { willReadFrequently: true });
    drawn.drawImage(bitmap, 0, 0);
    return drawn.getImageData(0, 0, bitmap.width, bitmap.height);
  };

  const carriedReader = () => {
    ZXingWASM.setZXingModuleOverrides({ locateFile: () => document.body.dataset.reader });
    return async (bitmap) => {
      const found = await ZXingWASM.readBarcodes(pixelsOf(bitmap), { tryHarder: true, maxNumberOfSymbols: 8 });
      return found.filter((each) => each.isValid).map((each) => each.text);
    };
  };

  // A label carries several codes. A serial number has four letters of its vendor and eight figures, or is sixteen of hex.
  const serialIn = (texts) => {
    const plain = texts.map((text) => text.replace(/^(S\/?N|GPON SN)[:\s]*/i, "").trim());
    return plain.find((text) => /^[A-Z]{4}[0-9A-F]{8}$/i.test(text) || /^[0-9A-F]{16}$/i.test(text)) || plain[0] || null;
  };

  const read = async (bitmap) => {
    reader = reader || (await ownReader()) || carriedReader();
    return serialIn(await reader(bitmap));
  };

  field.hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

  // What the photo's code says; null where none is found. Throws where it is no picture.
  field.readPhoto = async (file) => read(await createImageBitmap(file));

  // Looks through the camera until a code is found (its text), or until it is stopped (null).
  field.readCamera = async (video, stopped) => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    try {
      video.srcObject = stream;
      await video.play();
      while (!stopped.aborted) {
        const found = await read(await createImageBitmap(video));
        if (found) return stopped.aborted ? null : found;
        await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      }
      return null;
    } finally {
      for (const track of stream.getTracks()) track.stop();
      video.srcObject = null;
    }
  };

  // A photo as it is kept: upright, no larger than a screen shows, without where it was taken.
  field.smaller = async (file, longest = 2048) => {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return field.bytesOf(canvas, "image/jpeg");
  };

  field.bytesOf = async (canvas, kind) => {
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, kind, 0.85));
    return blob.arrayBuffer();
  };
})();
