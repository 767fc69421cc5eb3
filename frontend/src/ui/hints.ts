/** What each control does, in a sentence. All of them stand here, so that they can be read together. */
export const HINTS = {
  // Above the figures.
  model: 'Chooses the run and model of this row.',
  findModel: 'Lists only the runs and models with these words in their names.',
  step: 'Chooses the training step at which this model was logged.',
  swap: 'Exchanges A and B, with what is chosen in them.',
  measure: 'Chooses the measure of similarity between layers. The panel has its formula.',
  problems: 'Lists the files and records of the log directory that could not be used.',
  graph: 'Shows both models with lines between similar layers.',
  matrix: 'Shows the similarity of every layer of A with every layer of B as a table of colours.',
  both: 'Shows the graph and the matrix beside each other.',
  models: 'Shows all logged models on a map, by how similar they are.',
  training: 'Shows how each layer changes over the steps of a training.',
  ownGraph: 'Shows TensorBoard’s own graph of the same model, linked with this one.',
  export: 'Opens what is in sight as figures for a paper, and as numbers.',
  help: 'Opens the page of the documentation about this panel.',

  // What is drawn.
  lines: 'Chooses which pairs of layers get a line.',
  top: 'Sets how many lines each layer gets at most.',
  least: 'Hides lines between layers that are less similar than this.',
  scale:
    'Chooses what thickness, opacity and colour mean: the value, its rank, or the value less the null.',
  find: 'Finds a layer or unit, and filters layers by name (3x3), kind (kind:conv) or model (a:4c).',
  zoomOut: 'Makes the drawing smaller.',
  fit: 'Fits the whole drawing into the window.',
  zoomIn: 'Enlarges the drawing.',
  minimap: 'Moves the drawing to another part of the models.',
  divider: 'Gives the figures on either side more or less room. Drag it, or use ← →.',
  graphOf: 'Shows TensorBoard’s graph of this model.',
  closeGraph: 'Closes TensorBoard’s graph.',

  // A layer, a pair, a unit.
  closeLayer: 'Lets go of the layer.',
  inBox: 'Chooses the layer of this block that its box and lines stand for.',
  match: 'Goes to this layer. Pointing at it shows its lines.',
  allMatches: 'Lists all matches, or the strongest alone.',
  testAll: 'Permutes the images of B, and compares each pair with the largest of all pairs.',
  otherLayers: 'Lists these layers, each with a click to it, or closes the list.',
  finding: 'Goes to the layers that the sentence is about.',
  pairImage: 'Chooses this image: below, each of the two layers can show what it keeps of it.',
  seeds:
    'Chooses runs that are the same model trained from other random seeds. They show how alike two trainings of it are.',
  closePair: 'Lets go of the pair, and keeps the layer.',
  orderOfUnits: 'Sorts the units.',
  unit: 'Shows the images that this unit is most active on, and its analogies.',
  everyLayer: 'Asks every layer of the other model how well it predicts each unit of this layer.',
  leastR2: 'Sets the R² below which a unit counts as without a counterpart.',
  unitBefore: 'Goes to the unit before.',
  nextUnit: 'Goes to the next unit.',
  closeUnit: 'Closes the panel of the unit.',
  crops: 'Cuts the images to the part that the unit sees.',
  large: 'Opens the picture large, with its numbers.',
  bestUnit: 'Goes to the single unit that correlates most with this direction.',

  // Photos and renders.
  ownPhoto: 'Takes a photo of your own. You can also drop one here, or paste one.',
  probePhoto: 'Takes the first image of the probe.',
  photoBefore: 'Goes to the image before.',
  photoNumber: 'Chooses an image of the probe by its number.',
  nextPhoto: 'Goes to the next image.',
  closePhoto: 'Puts the photo away.',
  drawPair: 'Renders what the chosen layer, and its best match, keep of the photo.',
  drawAll:
    'Renders the photo through every layer that is drawn. Pointing at a layer then shows it.',
  direction: 'Chooses what of the unit is drawn.',
  answer: 'Chooses how the corresponding direction in another layer is found.',
  scope: 'Chooses the models in which corresponding directions are drawn.',
  count: 'Sets in how many layers they are drawn, the best-matching first.',
  renderSteps: 'Sets the steps of optimisation: more give clearer renders and take longer.',
  orderOfAnalogies: 'Sorts the pictures of each model.',
  addModel: 'Shows the unit’s analogies in another model of the same probe, too.',
  removeModel: 'Leaves this model out.',
  onGraph: 'Opens the picture large, with its numbers. It stands at its layer.',
  again: 'Computes this again.',
  cancel: 'Ends the computation. What is known so far stays.',
  before: 'Goes to the picture before.',
  next: 'Goes to the next picture.',
  close: 'Closes this window.',
  useImage: 'Takes this image as the photo for caricatures.',

  // Training and models.
  change: 'Goes to the step after the change.',
  reference: 'Chooses the snapshot that every step is compared with.',
  colours: 'Chooses what colours and curves mean.',
  stepAxis:
    'Chooses how steps lie on the axis of the curves. On the logarithmic one, each doubling takes as much room.',
  frozen: 'Sets the similarity from which a layer counts as frozen.',
  layerOf: 'Chooses the layer whose curve and map of steps are shown.',
  perRun: 'Chooses how many steps of each run are models on the map.',
  metric: 'Chooses the distance between models.',
  asSide: 'Takes this snapshot as A or B.',
  pin: 'Compares every model and step with this snapshot, or stops doing so.',

  // Exports.
  figure: 'Chooses what is exported.',
  width: 'Sets the width on paper in millimetres.',
  svg: 'Saves the figure as a drawing of lines and text, which can be enlarged without loss.',
  png: 'Saves the figure as pixels, 300 to the inch.',
  csv: 'Saves the numbers as a table.',
  json: 'Saves the numbers with what they are of.',
  copy: 'Copies the text.',

  // Messages.
  alone: 'Shows the model that is there, and itself beside it.',
  retry: 'Asks TensorBoard now whether it is there again.',
} as const satisfies Record<string, string>;

export type Hint = keyof typeof HINTS;

/** What words of the glossary mean, where they stand. */
export const WORDS = {
  probe:
    'The probe is the fixed set of images, and of positions in them, that every model is shown.',
  row: 'A row is one position of one image. Rows of one image are not independent of each other.',
  measure: 'A measure makes one number of the activations of two layers: how similar they are.',
  null: 'The null is what the measure gives when the images of one model are permuted, so that nothing corresponds.',
  interval:
    'In 95 of 100 such studies, with other images of the same kind, the interval has the true value.',
  disagreement: 'The share of the probe’s images for which the two models name different classes.',
  divergence:
    'The Jensen-Shannon divergence of the models’ probabilities, the mean over images: 0 where they are equal, 1 where no class is possible for both.',
  top1: 'The share of images whose class is named rightly, by A and by B.',
  consistency:
    'Whether both are right and wrong on the same images: 1 where they always are, 0 where it is as often as their accuracies alone explain (Cohen’s κ).',
  r2: 'R² is the share of a unit’s variance that the other layer predicts, on images left out of the fit.',
} as const satisfies Record<string, string>;

export type Word = keyof typeof WORDS;
