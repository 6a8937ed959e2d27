import { z } from 'zod'
import { readNetwork } from '../config/read-network.ts'
import { networkSetting } from '../config/schema-networks.ts'
import type { AssetTransferMethod, NetworkId, SplTransferMethod } from '../core/payment.ts'
import { DataFileError, readDataFile, shippedFile } from './data-file.ts'

/** A token that can be paid with. */
export interface Asset {
  readonly symbol: string
  /** As its network writes it: an EVM address has its EIP-55 checksum. */
  readonly address: string
  /** Digits after the point that the token carries (USDC: 6). */
  readonly decimals: number
  /** One token is one US dollar. */
  readonly dollarPegged: boolean
}

export interface EvmAsset extends Asset {
  /**
   * The token's signing domain (EIP-712), exactly as its contract has it. Null: it checks no
   * signatures, so that Permit2 alone can move it.
   */
  readonly eip712: { readonly name: string; readonly version: string } | null
  readonly transferMethod: AssetTransferMethod
}

export interface SolanaAsset extends Asset {
  /** The token program that the mint belongs to: Token or Token-2022. */
  readonly program: string
  readonly transferMethod: SplTransferMethod
}

interface NetworkFacts {
  readonly id: NetworkId
  /** What people call it ("base-sepolia"). */
  readonly name: string
  /** What x402 v1 calls it; null where v1 has no name for it. */
  readonly v1Name: string | null
  /** What else facilitators call it at `/supported`: read, never written. */
  readonly aliases: readonly string[]
  readonly testnet: boolean
  /** Link to a transaction, with `{transaction}` for its hash; null when none is known. */
  readonly explorer: string | null
  /** JSON-RPC nodes, asked in this order. May carry keys: never logged. Empty: nobody is asked. */
  readonly rpc: readonly string[]
  /** Blocks under the newest from which on a block stays; null: the node's `finalized` block. */
  readonly finality: number | null
}

/** In each kind of network, the first asset is the default; there may be none. */
export type Network = EvmNetwork | SolanaNetwork | OtherNetwork

export interface EvmNetwork extends NetworkFacts {
  readonly family: 'evm'
  readonly assets: readonly EvmAsset[]
}

export interface SolanaNetwork extends NetworkFacts {
  readonly family: 'solana'
  readonly assets: readonly SolanaAsset[]
  /** What a payment may call beside its token program, by name. */
  readonly programs: Readonly<Record<string, string>>
}

export interface OtherNetwork extends NetworkFacts {
  readonly family: 'algorand' | 'stellar' | 'aptos'
  readonly assets: readonly Asset[]
}

export type NetworkFamily = Network['family']

/** A network whose payments farebox can check itself before anybody is asked to settle them. */
export type SoldNetwork = EvmNetwork | SolanaNetwork

/** Of the others, farebox has the facts and no code that could refuse a bad payment. */
export function isSold(network: Network): network is SoldNetwork {
  return network.family === 'evm' || network.family === 'solana'
}

/** Every network that farebox knows. */
export interface NetworkRegistry {
  readonly networks: readonly Network[]
  /** By name, v1 name, CAIP-2 id or alias; null when there is no such network. */
  find(spelling: string): Network | null
}

const networksFile = z.strictObject({
  networks: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/), networkSetting),
})

/** Reads config/networks.yaml. Throws DataFileError when it is damaged. */
export function loadNetworkRegistry(file: URL = shippedFile('networks')): NetworkRegistry {
  const entries = Object.entries(readDataFile(file, networksFile).networks)
  const networks = entries.flatMap(
    ([name, setting]) =>
      readNetwork(setting, {
        ...{ name, known: null },
        report(path, { message }) {
          throw new DataFileError(`${file.pathname}: ${[name, ...path].join('.')} ${message}`)
        },
      }) ?? [],
  )
  return createNetworkRegistry(networks)
}

export function createNetworkRegistry(networks: readonly Network[]): NetworkRegistry {
  const bySpelling = new Map(
    networks.flatMap(network => spellingsOf(network).map(spelling => [spelling, network] as const)),
  )
  return { networks, find: spelling => bySpelling.get(spelling) ?? null }
}

/** Everything that a network is called. No two networks share one. */
export function spellingsOf({ id, name, v1Name, aliases }: Network): string[] {
  return [...new Set([id, name, ...(v1Name === null ? [] : [v1Name]), ...aliases])]
}
