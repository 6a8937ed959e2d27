/**
 * Accounts for tests and the demo.
 *
 * THESE KEYS ARE PUBLIC. Anyone can derive them from the sentences below. Never send anything of
 * value to them, on any network.
 */
import { type Hex, keccak256, stringToHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'

/** A key that is the same on every machine, made from a name. */
export function publicTestKey(name: string): Hex {
  return keccak256(stringToHex(`farebox public test key, worth nothing: ${name}`))
}

/** Holds test dollars and no ether: who pays with x402 needs none. */
export const BUYER_PRIVATE_KEY = publicTestKey('buyer')
export const buyer = privateKeyToAccount(BUYER_PRIVATE_KEY)

const SELLER_PRIVATE_KEY = publicTestKey('seller')
export const seller = privateKeyToAccount(SELLER_PRIVATE_KEY)

/** Anvil's first development account, funded with ether at start. It pays the facilitator's gas. */
export const FACILITATOR_PRIVATE_KEY =
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'
