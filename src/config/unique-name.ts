/** Two paths of one host are two things, and metrics tell them apart by name. */
export function uniqueName(name: string, taken: readonly { readonly name: string }[]): string {
  const names = new Set(taken.map(one => one.name))
  if (!names.has(name)) return name
  let number = 2
  while (names.has(`${name}#${number}`)) number++
  return `${name}#${number}`
}
