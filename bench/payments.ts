import { randomBytes } from 'node:crypto'
import { signRecoverable } from 'tiny-secp256k1'
import {
  type Address,
  bytesToHex,
  type Hex,
  hashTypedData,
  hexToBytes,
  keccak256,
  toHex,
} from 'viem'
import { privateKeyToAddress } from 'viem/accounts'
import { askOnce, get } from './load.ts'

/** Who is paid. Nobody holds the key. */
export const PAY_TO = '0x209693Bc6afc0C5328bA36FaF03C514EF312287C'
const AMOUNT = 1000n
const CHAIN_ID = 84_532
const USDC: Address = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'
const VALID_SECONDS = 3600

/** Public: made from a sentence, and worth nothing. */
const PRIVATE_KEY = keccak256(toHex('farebox benchmark payer, worth nothing'))
export const PAYER = privateKeyToAddress(PRIVATE_KEY)

/** EIP-712 types of EIP-3009, as the standard writes them. */
const TYPES = {
  TransferWithAuthorization: [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ],
} as const

/** `payload` of x402's scheme exact with EIP-3009. */
export interface SignedPayment {
  readonly signature: Hex
  readonly authorization: Readonly<Record<string, string>>
}

/** Signs as many payments, each with a nonce of its own. Takes about a fifth of a second for 1,000. */
export function signPayments(count: number): SignedPayment[] {
  return Array.from({ length: count }, () => signPayment(PRIVATE_KEY))
}

/** Each by a wallet of its own, which has never had anything. */
export function signEmptyWallets(count: number): SignedPayment[] {
  return Array.from({ length: count }, () => signPayment(bytesToHex(randomBytes(32))))
}

function signPayment(privateKey: Hex): SignedPayment {
  const message = {
    from: privateKey === PRIVATE_KEY ? PAYER : privateKeyToAddress(privateKey),
    to: PAY_TO,
    value: AMOUNT,
    validAfter: 0n,
    validBefore: BigInt(Math.floor(Date.now() / 1000) + VALID_SECONDS),
    nonce: bytesToHex(randomBytes(32)),
  } as const
  const digest = hashTypedData({
    domain: { name: 'USDC', version: '2', chainId: CHAIN_ID, verifyingContract: USDC },
    types: TYPES,
    primaryType: 'TransferWithAuthorization',
    message,
  })
  const { signature, recoveryId } = signRecoverable(hexToBytes(digest), hexToBytes(privateKey))
  const authorization = Object.fromEntries(
    Object.entries(message).map(([name, value]) => [name, String(value)]),
  )
  return {
    signature: bytesToHex(Uint8Array.of(...signature, 27 + recoveryId)),
    authorization,
  }
}

/**
 * The requests that spend the payments on `path`, each with what the 402 asks for as the official
 * client repeats it: the same signatures serve every contestant, though each words its 402 its way.
 */
export async function paidRequests(
  port: number,
  path: string,
  payments: readonly SignedPayment[],
): Promise<Buffer[]> {
  const answer = await askOnce(port, get(path))
  const encoded = /\r\npayment-required: *(\S+)/i.exec(answer.head)?.[1]
  if (encoded === undefined) throw new Error(`No challenge on ${path}: status ${answer.status}`)
  const { resource, accepts } = JSON.parse(Buffer.from(encoded, 'base64').toString())
  const rest = { x402Version: 2, resource, accepted: accepts[0] }
  return payments.map(payload => {
    const header = Buffer.from(JSON.stringify({ ...rest, payload })).toString('base64')
    return get(path, { 'PAYMENT-SIGNATURE': header })
  })
}
