import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { z } from 'zod'
import { FareboxError } from '../errors.ts'

/** A data file that ships with farebox cannot be read: the installation is damaged. */
export class DataFileError extends FareboxError {
  readonly code = 'data_file_broken'

  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, { fix: 'Install farebox again, or undo your changes to this file.', ...options })
  }
}

/** YAML for people, beside the sources; a build has the same as JSON, for a quick start. */
export function shippedFile(name: 'networks' | 'facilitators'): URL {
  return import.meta.url.endsWith('.ts')
    ? new URL(`../../config/${name}.yaml`, import.meta.url)
    : new URL(`./${name}.json`, import.meta.url)
}

/**
 * Reads a data file of our own.
 *
 * @throws DataFileError when the file is missing or not of the schema's shape.
 */
export function readDataFile<T>(file: URL, schema: z.ZodType<T>): T {
  try {
    return schema.parse(file.pathname.endsWith('.json') ? readJson(file) : readYaml(file))
  } catch (cause) {
    throw new DataFileError(`${file.pathname} is not the data file that it should be`, { cause })
  }
}

/**
 * Every scalar arrives as text, as in the operator's file, so that an address without quotes stays
 * an address.
 */
export function readYaml(file: URL): unknown {
  return parse(readFileSync(file, 'utf8'), { schema: 'failsafe' })
}

function readJson(file: URL): unknown {
  return JSON.parse(readFileSync(file, 'utf8'))
}
