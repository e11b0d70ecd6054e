// Only the depths that the chosen model offers can be chosen.

const { model, depth } = document.getElementById("composer").elements;

function update() {
  const offered = model.selectedOptions[0].dataset.depths.split(" ");
  for (const option of depth.options) option.disabled = !offered.includes(option.value);
  if (depth.selectedOptions[0]?.disabled) depth.value = "normal";
}

if (model && depth) {
  model.addEventListener("change", update);
  update();
}
