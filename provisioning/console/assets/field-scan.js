// Reads an ONT's label: by the camera, or from a photo. The browser's own reader, or else one in WebAssembly.
(() => {
  "use strict";
  const field = (window.field = window.field || {});
  const FORMATS = ["code_128", "code_39", "data_matrix", "qr_code"];
  const CARRIED_FORMATS = ["Code128", "Code39", "DataMatrix", "QRCode"]; // the same, as the carried reader calls them
  const LOOK_EVERY_MS = 250;
  const STEADY_LOOKS = 4;
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
      const found = await ZXingWASM.readBarcodes(pixelsOf(bitmap), {
        formats: CARRIED_FORMATS,
        tryHarder: true,
        maxNumberOfSymbols: 8,
      });
      return found.filter((each) => each.isValid).map((each) => each.text);
    };
  };

  // As provisioning/field/serials.py has it: the prefix ends with a separator, or it is a part of the serial number.
  const PREFIX = /^S\/?N(\s*[:=]\s*|\s+)/i;
  const GPON = /^([A-Z]{4}|(4[1-9A-F]|5[0-9A]){4})[0-9A-F]{8}$/i;
  const OTHER = /^[A-Z0-9][A-Z0-9._~%-]{3,63}$/i;
  const MAC = /^([0-9A-F]{2}[:-]?){5}[0-9A-F]{2}$/i;

  const isGpon = (text) => GPON.test(text.replace(/[\s:-]/g, ""));

  // Whether the server takes that as a serial number.
  field.isSerial = (text) => {
    const plain = text.trim().replace(PREFIX, "");
    return isGpon(plain) || OTHER.test(plain);
  };

  // A label carries several codes. ``sure``: what has the form of a GPON serial number, and can't be a MAC address.
  // ``likely``: what stands there alone beside MAC addresses, and may be a serial number of another form.
  field.serialIn = (texts) => {
    const plain = [...new Set(texts.map((text) => text.trim().replace(/^GPON\s+(?=S)/i, "").replace(PREFIX, "")))];
    const sure = plain.find((text) => isGpon(text) && !MAC.test(text)) || null;
    const others = plain.filter((text) => OTHER.test(text) && (!MAC.test(text) || GPON.test(text)));
    return { sure, likely: others.length === 1 ? others[0] : null };
  };

  const read = async (bitmap) => {
    reader = reader || (await ownReader()) || carriedReader();
    return field.serialIn(await reader(bitmap));
  };

  field.hasCamera = () => Boolean(navigator.mediaDevices?.getUserMedia);

  // The serial number in the photo; null where none is found, or several may be it. Throws where it is no picture.
  field.readPhoto = async (file) => {
    const { sure, likely } = await read(await createImageBitmap(file));
    return sure || likely;
  };

  // Looks through the camera until a serial number is found (its text), or until it is stopped (null). One look may see
  // the code beside it alone, so what is only likely is taken when nothing else was seen for a while.
  field.readCamera = async (video, stopped) => {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    try {
      video.srcObject = stream;
      await video.play();
      let [steady, looks] = [null, 0];
      while (!stopped.aborted) {
        const { sure, likely } = await read(await createImageBitmap(video));
        [steady, looks] = [likely, likely && likely === steady ? looks + 1 : 1];
        const found = sure || (looks >= STEADY_LOOKS ? likely : null);
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
