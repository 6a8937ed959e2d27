import { z } from 'zod'
import type { AssetTransferMethod, NetworkId } from '../core/payment.ts'
import { readDataFile } from './data-file.ts'

/** A token that can be paid with. */
export interface Asset {
  readonly symbol: string
  /** Contract address with its EIP-55 checksum. */
  readonly address: string
  /** Digits after the point that the token carries (USDC: 6). */
  readonly decimals: number
  /** The token's signing domain (EIP-712), exactly as its contract has it. */
  readonly eip712: { readonly name: string; readonly version: string }
  readonly transferMethod: AssetTransferMethod
  /** One token is one US dollar. */
  readonly dollarPegged: boolean
}

export interface Network {
  readonly id: NetworkId
  /** What people call it ("base-sepolia"). */
  readonly name: string
  /** What x402 v1 calls it; null where v1 has no name for it. */
  readonly v1Name: string | null
  readonly testnet: boolean
  /** Never empty; the first is the default. */
  readonly assets: readonly [Asset, ...Asset[]]
  /** JSON-RPC nodes, asked in this order. May carry keys: never logged. Empty: nobody is asked. */
  readonly rpc: readonly string[]
  /** Blocks under the newest from which on a block stays; null: the node's `finalized` block. */
  readonly finality: number | null
}

/** Every network that farebox knows. */
export interface NetworkRegistry {
  readonly networks: readonly Network[]
  /** By name, v1 name or CAIP-2 id; null when there is no such network. */
  find(spelling: string): Network | null
}

const flag = z.enum(['true', 'false']).transform(text => text === 'true')

const assetEntry = z.strictObject({
  symbol: z.string().min(1),
  address: z.string().regex(/^0x[0-9a-fA-F]{40}$/),
  decimals: z
    .string()
    .regex(/^\d{1,2}$/)
    .transform(Number),
  eip712: z.strictObject({ name: z.string().min(1), version: z.string().min(1) }),
  transferMethod: z.enum(['eip3009', 'permit2']).default('eip3009'),
  dollarPegged: flag.default(false),
})

const networkEntry = z.strictObject({
  id: z.templateLiteral(['eip155:', z.string().regex(/[1-9]\d*/)]),
  v1: z.string().min(1).optional(),
  testnet: flag.default(false),
  assets: z.tuple([assetEntry], assetEntry),
  rpc: z.array(z.url({ protocol: /^https?$/ })).default([]),
  finality: z
    .string()
    .regex(/^\d{1,5}$/)
    .transform(Number)
    .nullable()
    .default(null),
})

const networksFile = z.strictObject({
  networks: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/), networkEntry),
})

/** The same from src/ and from dist/. */
const SHIPPED_FILE = new URL('../../config/networks.yaml', import.meta.url)

/** Reads config/networks.yaml. Throws DataFileError when it is damaged. */
export function loadNetworkRegistry(file: URL = SHIPPED_FILE): NetworkRegistry {
  const entries = Object.entries(readDataFile(file, networksFile).networks)
  return createNetworkRegistry(
    entries.map(([name, { id, v1, testnet, assets, rpc, finality }]) => ({
      ...{ id, name, testnet, assets, rpc, finality },
      v1Name: v1 ?? null,
    })),
  )
}

export function createNetworkRegistry(networks: readonly Network[]): NetworkRegistry {
  const bySpelling = new Map(
    networks.flatMap(network =>
      [network.name, network.id, network.v1Name ?? network.name].map(
        spelling => [spelling, network] as const,
      ),
    ),
  )
  return { networks, find: spelling => bySpelling.get(spelling) ?? null }
}
