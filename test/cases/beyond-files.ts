/** Codes of the compiler and the verifier that no files alone give, because of what does. */
const because = {
  'numbers that the controller keeps': ['I120', 'I121', 'I122', 'I123', 'I126', 'I130'],
  'an intent that was not read from files: there I063 says it': ['I110'],
  'a fault of the compiler': ['V018', 'V019', 'V020', 'V021', 'V022', 'V023', 'V024', 'V025', 'V027', 'V028', 'V029'],
  'a change under way': ['V041', 'V042'],
}
export const beyondFiles: ReadonlySet<string> = new Set(Object.values(because).flat())
