import { z } from 'zod'
import { readDataFile, shippedFile } from '../networks/data-file.ts'
import { type FacilitatorAuthSetting, facilitatorAuth } from './schema-upstreams.ts'
import { flag, text, wholeNumber } from './schema-values.ts'

/** A facilitator that can be named instead of writing its URL. */
export interface FacilitatorPreset {
  /** Base URL without a trailing slash. */
  readonly url: string
  /** Base URLs that it may redirect to. */
  readonly otherUrls: readonly string[]
  /** Its keys are references to variables, not yet looked up. Null: it asks for none. */
  readonly auth: FacilitatorAuthSetting | null
  /** True where it serves who sends no key, too. */
  readonly anonymous: boolean
  /** Headers that it asks for, with references to variables. */
  readonly headers: Readonly<Record<string, string>>
  /** Names of networks that it served when the list was made; null where that was not listed. */
  readonly networks: readonly string[] | null
  /** Whether it says itself, at /supported, what it serves. */
  readonly hasSupported: boolean
  readonly limits: FacilitatorLimits
  /** Where receivers have to be registered first; null where anybody can be paid. */
  readonly registration: string | null
  /** True where it settles payments from balances in Circle's GatewayWallet, and nothing else. */
  readonly gatewayWallet: boolean
}

export interface FacilitatorLimits {
  /** Characters that a description may have; null: as many as farebox allows. */
  readonly descriptionLength: number | null
  /** The least that it settles, like "$0.001"; null: anything. */
  readonly minimum: string | null
}

const httpsUrl = z.url({ protocol: /^https$/ })

const presetEntry = z.strictObject({
  url: httpsUrl,
  otherUrls: z.array(httpsUrl).default([]),
  auth: facilitatorAuth.nullable().default(null),
  anonymous: flag().default(false),
  headers: z.record(z.string(), z.string()).default({}),
  networks: z.array(z.string()).min(1).nullable().default(null),
  hasSupported: flag().default(true),
  limits: z
    .strictObject({
      descriptionLength: wholeNumber({ min: 1, max: 1_000_000 }).nullable().default(null),
      minimum: text(32).nullable().default(null),
    })
    .default({ descriptionLength: null, minimum: null }),
  registration: httpsUrl.nullable().default(null),
  gatewayWallet: flag().default(false),
})

const presetsFile = z.strictObject({
  facilitators: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]*$/), presetEntry),
})

/** Reads config/facilitators.yaml, by name. Throws DataFileError when it is damaged. */
export function loadFacilitatorPresets(
  file: URL = shippedFile('facilitators'),
): ReadonlyMap<string, FacilitatorPreset> {
  return new Map(Object.entries(readDataFile(file, presetsFile).facilitators))
}
