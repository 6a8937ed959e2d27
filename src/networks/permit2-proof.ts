import { decodeFunctionData, type Hex, keccak256, parseAbi, stringToHex } from 'viem'
import type { SignedTransferOnChain } from './chain-reader.ts'
import { type EventLog, isExactTransfer, type Proof, topicOf } from './receipt-proof.ts'

/** Canonical Permit2, and x402's proxy that only it may call (@x402/evm 2.27.0). */
export const PERMIT2 = '0x000000000022d473030f116ddee9f6b43ac78ba3'
export const EXACT_PROXY = '0x402085c248eea27d92e8b30b2c58ed07f9e20001'

/** Permit2's `ISignatureTransfer`: what is emitted when an owner takes nonces out of use. */
export const NONCES_INVALIDATED = keccak256(
  stringToHex('UnorderedNonceInvalidation(address,uint256,uint256)'),
)

/** The proxy's two ways to settle (@x402/evm 2.27.0 `x402ExactPermit2ProxyABI`). */
const PROXY_ABI = parseAbi([
  'struct TokenPermissions { address token; uint256 amount; }',
  'struct Permit { TokenPermissions permitted; uint256 nonce; uint256 deadline; }',
  'struct Witness { address to; uint256 validAfter; }',
  'struct Permit2612 { uint256 value; uint256 deadline; bytes32 r; bytes32 s; uint8 v; }',
  'function settle(Permit permit, address owner, Witness witness, bytes signature)',
  'function settleWithPermit(Permit2612 permit2612, Permit permit, address owner, Witness witness, bytes signature)',
])

/** Permit2 keeps 256 nonces in a word: which word, and which bit of it. */
export function placeOfNonce(nonce: string): { readonly word: bigint; readonly bit: bigint } {
  const number = BigInt(nonce)
  return { word: number >> 8n, bit: 1n << (number & 0xffn) }
}

/**
 * Reads one successful transaction. Permit2 emits nothing that names the nonce, so its own words
 * are read: it called the proxy, for this owner and nonce.
 */
export function provePermit(
  transaction: { readonly to: string | null; readonly input: string },
  logs: readonly EventLog[],
  transfer: SignedTransferOnChain,
): Proof {
  const called = readProxyCall(transaction)
  const paid = logs.some(log => isExactTransfer(log, transfer))
  if (called !== null) {
    const isOurs =
      called.owner.toLowerCase() === transfer.payer.toLowerCase() &&
      called.nonce === BigInt(transfer.nonce)
    if (!isOurs) return 'unrelated'
    return paid ? 'transfer' : 'other-use'
  }
  // Whoever calls the proxy from a contract of his own leaves no word of the nonce.
  if (paid) return 'unproven'
  return logs.some(log => invalidates(log, transfer)) ? 'cancelled' : 'unrelated'
}

/** Null when it is no direct call of the proxy. Never throws: anybody may write any input. */
function readProxyCall({
  to,
  input,
}: {
  readonly to: string | null
  readonly input: string
}): { readonly owner: string; readonly nonce: bigint } | null {
  if (to?.toLowerCase() !== EXACT_PROXY) return null
  try {
    const data = input as Hex // checked below: the decoder throws on anything else
    const { functionName, args } = decodeFunctionData({ abi: PROXY_ABI, data })
    const [permit, owner] = functionName === 'settle' ? [args[0], args[1]] : [args[1], args[2]]
    return { owner, nonce: permit.nonce }
  } catch {
    return null
  }
}

function invalidates(log: EventLog, transfer: SignedTransferOnChain): boolean {
  const { word, bit } = placeOfNonce(transfer.nonce)
  const [, wordHex = '', maskHex = ''] = /^0x([0-9a-f]{64})([0-9a-f]{64})$/.exec(log.data) ?? []
  return (
    log.address === PERMIT2 &&
    log.topics[0] === NONCES_INVALIDATED &&
    log.topics[1] === topicOf(transfer.payer) &&
    wordHex !== '' &&
    BigInt(`0x${wordHex}`) === word &&
    (BigInt(`0x${maskHex}`) & bit) !== 0n
  )
}
