import { createClient, http } from 'viem'
import type { z } from 'zod'
import { chainIdAnswer } from './evm-wire.ts'
import type { Network } from './registry.ts'

/** Asks one node one question. Rejects when it does not answer, or not in the shape of `answer`. */
export type Ask = <T>(
  method: string,
  params: readonly unknown[],
  answer: z.ZodType<T>,
) => Promise<T>

/** The node says something that cannot be. */
export class ImplausibleAnswer extends Error {}

const ANSWER_BYTES_MAX = 8 * 1024 * 1024

export interface RpcLimits {
  /** How long one question may take. */
  readonly callMs: number
  /** How often it is asked again when the node fails. */
  readonly retries: number
}

/** Speaks JSON-RPC with one node. The URL is never told, nor is what the node says of itself. */
export function connectNode(url: string, { callMs, retries }: RpcLimits): Ask {
  const client = createClient({
    transport: http(url, {
      retryCount: retries,
      timeout: callMs,
      maxResponseBodySize: ANSWER_BYTES_MAX,
      // Nobody else is told which payments are ours.
      fetchOptions: { redirect: 'error' },
    }),
  })
  // The methods and answers are ours to check; the client's types would do neither.
  const request = client.request as (call: object) => Promise<unknown> // see above
  return async (method, params, answer) => {
    const parsed = answer.safeParse(await request({ method, params }))
    if (parsed.success) return parsed.data
    throw new ImplausibleAnswer(`${method} was answered in another shape`)
  }
}

/** Throws `ImplausibleAnswer` when the node is of another chain, which would lack every payment. */
export async function proveChain({ id }: Network, ask: Ask): Promise<void> {
  const chainId = await ask('eth_chainId', [], chainIdAnswer)
  if (id !== `eip155:${chainId}`) throw new ImplausibleAnswer('it serves another chain')
}

/** As JSON-RPC writes a block. */
export function blockTag(at: bigint | 'latest' | 'finalized'): string {
  return typeof at === 'bigint' ? `0x${at.toString(16)}` : at
}

/** Only what we know to be ours: the library puts URLs, and nodes their own words, into errors. */
export function describeFailure(error: unknown): string {
  if (error instanceof ImplausibleAnswer) return error.message
  if (!(error instanceof Error)) return 'an unknown failure'
  const { status, code } = error as { status?: unknown; code?: unknown } // of viem's errors, maybe
  const number = typeof status === 'number' ? status : typeof code === 'number' ? code : null
  const name = /^[A-Za-z]{1,60}$/.test(error.name) ? error.name : 'Error'
  return number === null ? name : `${name} ${number}`
}
