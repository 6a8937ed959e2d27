import { z } from 'zod'
import { decodeBase64Text } from '../x402/base64.ts'
import { parseStrictJson } from '../x402/strict-json.ts'

/** What a facilitator says that it did with one extension of a payment. */
export interface ExtensionResponse {
  /** One that is known, or "other". */
  readonly extension: 'bazaar' | 'other'
  readonly status: 'processing' | 'rejected' | 'other'
  /** In the service's words, printable ASCII of at most 128 characters; null: it gave none. */
  readonly reason: string | null
}

const ENCODED_LENGTH_MAX = 8 * 1024
const DEPTH_MAX = 8
const EXTENSIONS_MAX = 16
const REASON_LENGTH_MAX = 128

const responses = z.record(
  z.string(),
  z.looseObject({ status: z.string(), rejectedReason: z.unknown().optional() }),
)

/**
 * Reads a facilitator's `EXTENSION-RESPONSES`: base64 of JSON, an object for each extension (as
 * PayAI documents it, and @x402/core 2.27.0 reads it). It is only ever told to the operator:
 * nothing about a payment follows from it. Empty when it is absent or anything else.
 */
export function readExtensionResponses(header: string | undefined): readonly ExtensionResponse[] {
  if (header === undefined || header.length > ENCODED_LENGTH_MAX) return []
  const text = decodeBase64Text(header)
  if (text === null) return []
  const json = parseStrictJson(text, DEPTH_MAX)
  const read = json.kind === 'json' ? responses.safeParse(json.value).data : undefined
  return Object.entries(read ?? {})
    .slice(0, EXTENSIONS_MAX)
    .map(([name, { status, rejectedReason }]) => ({
      extension: name === 'bazaar' ? name : 'other',
      status: status === 'processing' || status === 'rejected' ? status : 'other',
      reason: typeof rejectedReason === 'string' ? printable(rejectedReason) : null,
    }))
}

function printable(text: string): string {
  return text.slice(0, REASON_LENGTH_MAX).replaceAll(/[^ -~]/g, '?')
}
