import { z } from 'zod'
import { readDataFile } from '../networks/data-file.ts'

/** A facilitator that can be named instead of writing its URL. */
export interface FacilitatorPreset {
  /** Base URL without a trailing slash. */
  readonly url: string
  /** Names of networks that it served when the list was made. */
  readonly networks: readonly string[]
}

const presetsFile = z.strictObject({
  facilitators: z.record(
    z.string().regex(/^[a-z][a-z0-9-]*$/),
    z.strictObject({ url: z.url({ protocol: /^https$/ }), networks: z.array(z.string()).min(1) }),
  ),
})

/** The same from src/ and from dist/. */
const SHIPPED_FILE = new URL('../../config/facilitators.yaml', import.meta.url)

/** Reads config/facilitators.yaml, by name. Throws DataFileError when it is damaged. */
export function loadFacilitatorPresets(
  file: URL = SHIPPED_FILE,
): ReadonlyMap<string, FacilitatorPreset> {
  return new Map(Object.entries(readDataFile(file, presetsFile).facilitators))
}
