package hybrid

// LabelPSK is the copy of the label that package keys lists.
const LabelPSK = labelPSK
