/**
 * A header's name as every server reads it: those behind CGI take "X_Payment", "X.Payment" and
 * "X-Payment" for one.
 */
export function canonicalHeaderName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]/g, '-')
}
