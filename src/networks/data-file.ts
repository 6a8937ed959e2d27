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

/**
 * Reads a YAML file of our own. Every scalar arrives as text, as in the operator's file, so that an
 * address without quotes stays an address.
 *
 * @throws DataFileError when the file is missing or not of the schema's shape.
 */
export function readDataFile<T>(file: URL, schema: z.ZodType<T>): T {
  try {
    return schema.parse(parse(readFileSync(file, 'utf8'), { schema: 'failsafe' }))
  } catch (cause) {
    throw new DataFileError(`${file.pathname} is not the data file that it should be`, { cause })
  }
}
