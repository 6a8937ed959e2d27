/**
 * What spreadsheets take for the beginning of a formula, or skip on their way to one. Full-width
 * signs count in East Asian editions.
 *
 * Source: OWASP, "CSV Injection".
 */
const STARTS_FORMULA = /^[=+\-@\t\r\n＝＋－＠]/

/**
 * One record of a CSV file (RFC 4180), with its line end.
 *
 * A cell that a spreadsheet would calculate gets an apostrophe in front, which makes it text.
 */
export function csvRecord(cells: readonly (string | number | null)[]): string {
  return `${cells.map(cell => csvCell(cell === null ? '' : String(cell))).join(',')}\r\n`
}

function csvCell(text: string): string {
  const harmless = STARTS_FORMULA.test(text) ? `'${text}` : text
  return /[",\r\n]|^\s|\s$/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless
}
