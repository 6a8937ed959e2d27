import { DatabaseSync } from 'node:sqlite'
import type { LocalAccount } from 'viem'
import { z } from 'zod'
import { buyer } from './accounts.ts'
import {
  type Authorization,
  authorization,
  type SigningChain,
  signTransfer,
} from './authorizations.ts'

const challengeSchema = z.object({
  accepts: z.array(
    z.object({
      scheme: z.string(),
      network: z.string(),
      amount: z.string(),
      asset: z.string(),
      payTo: z.string().transform(text => text as `0x${string}`), // EVM only in these tests
      maxTimeoutSeconds: z.number(),
      extra: z.record(z.string(), z.unknown()),
    }),
  ),
  error: z.string(),
  resource: z.object({ url: z.string(), description: z.string().optional() }),
})

export type Challenge = z.output<typeof challengeSchema>

/** What a 402 asks for, from its v2 header. */
export function readChallenge(response: Response): Challenge {
  return decodeHeader(response.headers.get('payment-required'), challengeSchema)
}

const receiptSchema = z.object({
  success: z.boolean(),
  transaction: z.string(),
  network: z.string(),
  payer: z.string().optional(),
  errorReason: z.string().optional(),
})

/** The settlement header of either version; null when there is none. */
export function readReceipt(response: Response): z.output<typeof receiptSchema> | null {
  const { headers } = response
  const encoded = headers.get('payment-response') ?? headers.get('x-payment-response')
  return encoded === null ? null : decodeHeader(encoded, receiptSchema)
}

function decodeHeader<T>(encoded: string | null, schema: z.ZodType<T>): T {
  return schema.parse(JSON.parse(Buffer.from(encoded ?? '', 'base64').toString()))
}

export interface SignOptions {
  readonly signer?: LocalAccount
  /** Replaces what a test wants to get wrong. */
  readonly authorization?: Partial<Authorization>
  readonly accepted?: Record<string, unknown>
  readonly offer?: number
}

/** Fetches a URL's challenge and signs a payment for it: the value of a v2 payment header. */
export async function signFor(
  chain: SigningChain,
  url: string,
  options: SignOptions & { readonly init?: RequestInit } = {},
): Promise<string> {
  return signChallenge(chain, readChallenge(await fetch(url, options.init)), options)
}

export async function signChallenge(
  chain: SigningChain,
  challenge: Challenge,
  options: SignOptions = {},
): Promise<string> {
  const accepted = challenge.accepts[options.offer ?? 0]
  if (accepted === undefined) throw new Error('The challenge has no such offer.')
  const signer = options.signer ?? buyer
  const validBefore = BigInt(Math.floor(Date.now() / 1000) + accepted.maxTimeoutSeconds)
  const message = authorization({
    from: signer.address,
    to: accepted.payTo,
    value: BigInt(accepted.amount),
    validBefore,
    ...options.authorization,
  })
  const signature = await signTransfer(chain, signer, message)
  return encodePayment({
    x402Version: 2,
    resource: challenge.resource,
    accepted: { ...accepted, ...options.accepted },
    payload: { signature, authorization: asText(message) },
  })
}

export function encodePayment(payload: unknown): string {
  return Buffer.from(JSON.stringify(payload)).toString('base64')
}

function asText(message: Authorization): Record<string, string> {
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, String(value)]))
}

export function pay(url: string, payment: string, init: RequestInit = {}): Promise<Response> {
  return fetch(url, { ...init, headers: { ...init.headers, 'PAYMENT-SIGNATURE': payment } })
}

/** Code of a problem+json answer; the 402's `error` otherwise. */
export async function codeOf(response: Response): Promise<string> {
  const body = z
    .object({ code: z.string().optional(), error: z.string().optional() })
    .parse(await response.json())
  return body.code ?? body.error ?? ''
}

/** Rows of a gateway's store, oldest first. */
export function readRows(
  storeFile: string,
): { state: string; route: string; transaction_hash: string | null }[] {
  const database = new DatabaseSync(storeFile, { readOnly: true })
  const rows = database
    .prepare('SELECT state, route, transaction_hash FROM claims ORDER BY created_at, id')
    .all()
  database.close()
  return rows as ReturnType<typeof readRows> // the columns that were asked for
}

/** The same payment with an identifier of its client. */
export function withIdentifier(payment: string, id: unknown): string {
  const object = JSON.parse(Buffer.from(payment, 'base64').toString())
  const extensions = { 'payment-identifier': { info: { required: false, id } } }
  return encodePayment({ ...object, extensions })
}
