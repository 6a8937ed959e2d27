import { z } from 'zod'
import type { Ask } from '../../networks/evm-rpc.ts'

/** "0x" and what was returned, in lower case. */
export type CallAnswer =
  | { readonly kind: 'returned'; readonly data: `0x${string}` }
  /** The contract has no such function, or says no. */
  | { readonly kind: 'refused' }

const BYTES_MAX = 100_000

const bytesAnswer = z
  .string()
  .max(2 + 2 * BYTES_MAX)
  .toLowerCase()
  .regex(/^0x([0-9a-f]{2})*$/)
  .transform(text => text as `0x${string}`) // just checked

/** Errors by which nodes say that the EVM refused a call: geth's, its elders', and others'. */
const REVERTED = new Set([3, -32_000, -32_015])

/** Calls a contract without a transaction. Rejects when the node gives no usable answer. */
export async function callContract(
  ask: Ask,
  call: { readonly from?: string; readonly to: string; readonly data: string },
): Promise<CallAnswer> {
  try {
    return { kind: 'returned', data: await ask('eth_call', [call, 'latest'], bytesAnswer) }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null
    if (typeof code === 'number' && REVERTED.has(code)) return { kind: 'refused' }
    throw error
  }
}

/** The code at an address; "0x" where there is none. */
export function codeAt(ask: Ask, address: string): Promise<string> {
  return ask('eth_getCode', [address, 'latest'], bytesAnswer)
}

/** The one EVM word that was returned; null for anything else. */
export function wordOf(answer: CallAnswer): bigint | null {
  if (answer.kind === 'refused' || answer.data.length !== 66) return null
  return BigInt(answer.data)
}
