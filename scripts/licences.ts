import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Of a package's package.json. */
interface Package {
  readonly name: string
  readonly version: string
  readonly license?: string
}

const PACKAGE_FOLDER = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/

/**
 * The licences of the libraries that files were taken from, which have to stand beside them.
 *
 * @param files Absolute paths.
 */
export function licencesOf(files: readonly string[]): string {
  const folders = new Set(files.flatMap(file => PACKAGE_FOLDER.exec(file) ?? []))
  const texts = [...folders].sort().map(licenceOf)
  return `The files beside this one contain these libraries.\n\n${texts.join('\n\n')}\n`
}

function licenceOf(folder: string): string {
  const described: Package = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const { name, version, license } = described
  if (license === undefined) throw new Error(`${folder} does not say how it is licensed.`)
  const file = readdirSync(folder).find(one => /^licen[cs]e/i.test(one))
  const text = file === undefined ? '' : `\n\n${readFileSync(join(folder, file), 'utf8').trim()}`
  return `${'-'.repeat(80)}\n${name} ${version}, ${license}${text}`
}
