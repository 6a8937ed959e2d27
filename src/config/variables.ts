import { resolve } from 'node:path'
import type { Finding } from './problems.ts'
import { readTextFile } from './text-file.ts'

/** Where `${VAR}` and `${file:…}` look. */
export interface VariableSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** What relative paths of secret files start from: the directory of the configuration file. */
  readonly directory: string
}

export interface Resolved {
  readonly value: string
  readonly findings: readonly Finding[]
}

export const SECRET_BYTES_MAX = 64 * 1024

/** `$${` first, so that an escaped variable is not taken for one. */
const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
const FILE_PREFIX = 'file:'

/**
 * Puts in what a scalar refers to. After parsing, so that a secret which looks like YAML cannot
 * change the document; and once, so that a secret which looks like a variable stays as it is.
 */
export function resolveVariables(written: string, sources: VariableSources): Resolved {
  if (!written.includes('${')) return { value: written, findings: [] }
  const findings: Finding[] = []
  const value = written.replace(REFERENCE, (match, name: string | undefined, close: string) => {
    if (name === undefined) return '${'
    const found = close === '' ? UNCLOSED : lookUp(name, sources)
    if (typeof found === 'string') return found
    findings.push(found)
    return match
  })
  return { value, findings }
}

/** Names of the environment variables that a text refers to. */
export function variablesIn(text: string): string[] {
  const names = [...text.matchAll(REFERENCE)].flatMap(match => match[1] ?? [])
  return names.filter(name => ENV_NAME.test(name))
}

/** Absolute paths of the secret files that a configuration's text refers to. */
export function secretFilesIn(text: string, directory: string): string[] {
  const names = [...text.matchAll(REFERENCE)].flatMap(match => match[1] ?? [])
  const paths = names
    .filter(name => name.startsWith(FILE_PREFIX))
    .map(name => resolve(directory, name.slice(FILE_PREFIX.length)))
  return [...new Set(paths)]
}

const ESCAPE_HINT = `Write $\${ for a \${ that is no variable.`
const UNCLOSED: Finding = { message: `has a \${ without its }`, cure: ESCAPE_HINT }

function lookUp(name: string, sources: VariableSources): string | Finding {
  if (name.startsWith(FILE_PREFIX)) return lookUpFile(name.slice(FILE_PREFIX.length), sources)
  if (!ENV_NAME.test(name)) {
    const message = `has a \${…} that is neither \${NAME} nor \${file:/path}`
    return { message, cure: ESCAPE_HINT }
  }
  const value = Object.hasOwn(sources.env, name) ? sources.env[name] : undefined
  if (value === undefined) {
    const message = `needs the environment variable ${name}, which is not set`
    return { message, cure: `Set ${name} before farebox starts.` }
  }
  // An empty secret is one that somebody forgot: "Bearer " would be sent, and refused, for ever.
  if (value === '') {
    const message = `needs the environment variable ${name}, which is empty`
    return { message, cure: `Give ${name} a value before farebox starts.` }
  }
  return value
}

function lookUpFile(path: string, sources: VariableSources): string | Finding {
  const file = resolve(sources.directory, path)
  const read = readTextFile(file, SECRET_BYTES_MAX)
  if (read.kind === 'unreadable') {
    const message = `needs the file ${JSON.stringify(file)}, which ${read.why}`
    return { message, cure: 'Create it, or correct its path.' }
  }
  // Editors and `echo` end a file with a line break that is no part of the secret.
  const secret = read.text.replace(/\r?\n$/, '')
  if (secret !== '') return secret
  const message = `needs the file ${JSON.stringify(file)}, which is empty`
  return { message, cure: 'Write the secret into it.' }
}
