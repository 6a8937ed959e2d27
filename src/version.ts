import { readFileSync } from 'node:fs'

/** The version in package.json, which lies one directory above both `src` and `dist`. */
export function fareboxVersion(): string {
  const file = new URL('../package.json', import.meta.url)
  const { version }: { version: string } = JSON.parse(readFileSync(file, 'utf8'))
  return version
}
