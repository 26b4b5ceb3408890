// What the page shows of an answer.

const SIDE = 28;
const percent = new Intl.NumberFormat("en", {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
// A screen reader speaks once drawing pauses, not at every point of a stroke.
const PAUSE = 600; // milliseconds

const element = (id) => document.getElementById(id);
let speaking = 0;

// One row for each class.
export function makeBars(classes) {
  const rows = classes.map((name) => {
    const row = document.createElement("tr");
    row.innerHTML = '<th scope="row"></th><td><div class="bar"></div></td><td class="share"></td>';
    row.cells[0].textContent = name;
    return row;
  });
  element("bars").replaceChildren(...rows);
  showNothing();
}

export function showAnswer(image, probabilities) {
  const rows = [...element("bars").rows];
  const best = probabilities.indexOf(Math.max(...probabilities));
  rows.forEach((row, i) => {
    row.querySelector(".bar").style.setProperty("--share", probabilities[i]);
    row.cells[2].textContent = percent.format(probabilities[i]);
    row.classList.toggle("likeliest", i === best);
  });
  const name = rows[best].cells[0].textContent;
  const share = percent.format(probabilities[best]);
  const digit = document.createElement("strong");
  digit.textContent = name;
  element("best").replaceChildren(digit, share);
  showImage(image);
  element("seen").ariaLabel = `What the network sees: the drawing as ${SIDE} by ${SIDE} pixels`;
  sayLater(`Read as ${name}, ${share}`);
}

export function showNothing() {
  for (const row of element("bars").rows) {
    row.querySelector(".bar").style.removeProperty("--share");
    row.cells[2].textContent = "–";
    row.classList.remove("likeliest");
  }
  element("best").textContent = "Draw a digit from 0 to 9.";
  showImage(new Uint8Array(SIDE * SIDE));
  element("seen").ariaLabel = "What the network sees: nothing yet";
}

export function showProblem(message) {
  element("problem").textContent = message;
  element("problem").hidden = false;
}

// Have a screen reader say something at once.
export function say(text) {
  element("status").textContent = text;
}

// Have a screen reader say something unless something else is to be said soon.
export function sayLater(text) {
  clearTimeout(speaking);
  speaking = setTimeout(say, PAUSE, text);
}

function showImage(image) {
  const context = element("seen").getContext("2d", { willReadFrequently: true });
  const shown = context.createImageData(SIDE, SIDE);
  image.forEach((level, i) => shown.data.set([level, level, level, 255], 4 * i));
  context.putImageData(shown, 0, 0);
}
