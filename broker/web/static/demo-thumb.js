// A small picture in front of a row. The browser loads it when the row is near the visible part of the page.

/** Show a picture from the file that was chosen. Its URL is revoked as soon as it is not needed. */
export function showThumb(row, file) {
  const image = Object.assign(new Image(), { alt: "", decoding: "async", loading: "lazy" });
  const url = URL.createObjectURL(file);
  const revoke = () => URL.revokeObjectURL(url);
  image.onload = revoke;
  image.onerror = () => {
    revoke();
    image.remove(); // the icon behind it is seen instead
  };
  row.onRemove(revoke);
  image.src = url;
  row.slot("thumb").append(image);
}
