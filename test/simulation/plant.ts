import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Mutation } from './mutations.ts'
import type { Course } from './simulate.ts'

const HERE = new URL('.', import.meta.url).href
const SOURCES = new URL('../../src/', import.meta.url).href

let planted = 0

type Simulate = (seed: number) => Promise<Course>

/** Throws when a mutation's text is not in its file, or is there twice. */
export function mutate({ name, file, source, replacement }: Mutation): string {
  const text = readFileSync(fileURLToPath(new URL(file, SOURCES)), 'utf8')
  const pieces = text.split(source)
  if (pieces.length === 2) return pieces.join(replacement)
  throw new Error(`"${name}": its text is in src/${file} ${pieces.length - 1} times, not once.`)
}

/**
 * Loads everything once more beside what is there, with one fault planted. Only the text that is
 * loaded differs; no file is touched.
 */
export async function simulateWith(mutation: Mutation): Promise<Simulate> {
  const mutated = mutate(mutation)
  const mark = `?mutation=${++planted}`
  let isLoaded = false
  const target = new URL(mutation.file, SOURCES).href
  const hooks = registerHooks({
    resolve(specifier, context, next) {
      const resolved = next(specifier, context)
      const isOurs = resolved.url.startsWith(SOURCES) || resolved.url.startsWith(HERE)
      if (!isOurs || !context.parentURL?.endsWith(mark)) return resolved
      return { ...resolved, url: resolved.url + mark }
    },
    load(url, context, next) {
      const loaded = next(url, context)
      if (url !== target + mark) return loaded
      isLoaded = true
      return { ...loaded, source: mutated }
    },
  })
  try {
    const entry = pathToFileURL(fileURLToPath(new URL('simulate.ts', HERE))).href + mark
    const { simulate }: { simulate: Simulate } = await import(entry)
    if (!isLoaded) throw new Error(`"${mutation.name}": src/${mutation.file} is never loaded.`)
    return simulate
  } finally {
    hooks.deregister()
  }
}
