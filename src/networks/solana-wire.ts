import { z } from 'zod'

/**
 * What Solana's nodes answer, as strict as their JSON-RPC API allows. Bounded.
 *
 * Source: Solana RPC documentation, "HTTP methods".
 */
const slot = z.number().int().nonnegative().transform(BigInt)
const context = z.object({ slot })
const base58 = (lengthMax: number) =>
  z
    .string()
    .regex(/^[1-9A-HJ-NP-Za-km-z]+$/)
    .max(lengthMax)
const base64 = z.tuple([z.base64().max(4096), z.literal('base64')])

export const genesisAnswer = base58(44)

/** The clock of the chain: its seconds stand in the bytes 32 to 39 (Solana, `Clock` sysvar). */
export const clockAnswer = z
  .object({ context, value: z.object({ data: base64 }) })
  .transform(({ context: at, value }) => ({
    number: at.slot,
    timestamp: readSeconds(Buffer.from(value.data[0], 'base64')),
  }))
  .refine(({ timestamp }) => Number.isSafeInteger(timestamp))

function readSeconds(clock: Buffer): number {
  return clock.length === 40 ? Number(clock.readBigInt64LE(32)) : Number.NaN
}

export const validityAnswer = z.object({ value: z.boolean() }).transform(({ value }) => value)

/** Newest first. */
export const signaturesAnswer = z
  .array(z.object({ signature: base58(88), blockTime: z.number().int().nullable() }))
  .max(1000)

/** Null: not found, or not in a block yet. */
export const transactionAnswer = z
  .object({
    slot,
    transaction: base64,
    meta: z.object({ err: z.unknown() }),
  })
  .nullable()
