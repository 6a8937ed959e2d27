import { randomBytes } from 'node:crypto'
import { type Address, bytesToHex, type Hex, type LocalAccount } from 'viem'
import type { Chain } from './chain.ts'

/** As much of a chain as signing needs: nobody is asked. */
export type SigningChain = Pick<Chain, 'chainId' | 'token'>

/** EIP-712 types of EIP-3009 and EIP-2612, as the standards write them. */
export const tokenTypes = {
  TransferWithAuthorization: transferFields(),
  ReceiveWithAuthorization: transferFields(),
  CancelAuthorization: [
    { name: 'authorizer', type: 'address' },
    { name: 'nonce', type: 'bytes32' },
  ],
  Permit: [
    { name: 'owner', type: 'address' },
    { name: 'spender', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
  ],
} as const

/** The signing domain of the test dollar on a chain. */
export function tokenDomain(chain: SigningChain) {
  const { chainId, token } = chain
  return { name: 'USDC', version: '2', chainId, verifyingContract: token } as const
}

export interface Authorization {
  readonly from: Address
  readonly to: Address
  /** Atomic units. */
  readonly value: bigint
  /** Unix seconds; both ends are exclusive. */
  readonly validAfter: bigint
  readonly validBefore: bigint
  readonly nonce: Hex
}

/** One dollar, valid for an hour, with a fresh nonce; `parts` replaces what a test cares about. */
export function authorization(
  parts: Pick<Authorization, 'from' | 'to'> & Partial<Authorization>,
): Authorization {
  const inAnHour = BigInt(Math.floor(Date.now() / 1000) + 3600)
  const nonce = bytesToHex(randomBytes(32))
  return { value: 1_000_000n, validAfter: 0n, validBefore: inAnHour, nonce, ...parts }
}

/** Signs a transfer as a wallet would: 65 bytes, r then s then v. */
export function signTransfer(
  chain: SigningChain,
  signer: LocalAccount,
  message: Authorization,
): Promise<Hex> {
  return signer.signTypedData({
    domain: tokenDomain(chain),
    types: tokenTypes,
    primaryType: 'TransferWithAuthorization',
    message,
  })
}

/** In the order in which the token's functions take them. */
export function transferArguments(message: Authorization) {
  const { from, to, value, validAfter, validBefore, nonce } = message
  return [from, to, value, validAfter, validBefore, nonce] as const
}

function transferFields() {
  return [
    { name: 'from', type: 'address' },
    { name: 'to', type: 'address' },
    { name: 'value', type: 'uint256' },
    { name: 'validAfter', type: 'uint256' },
    { name: 'validBefore', type: 'uint256' },
    { name: 'nonce', type: 'bytes32' },
  ] as const
}
