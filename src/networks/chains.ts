import type { NetworkId } from '../core/payment.ts'
import type { ChainReader } from './chain-reader.ts'
import type { Network } from './registry.ts'

/** Finds the reader of a network among those of one configuration; null where no node is named. */
export type FindChain = (networks: readonly Network[], network: NetworkId) => ChainReader | null

/** Makes readers when they are asked for, and keeps them while the configuration says the same. */
export function openChains(): FindChain {
  const readers = new WeakMap<Network, ChainReader>()
  return (networks, id) => {
    const network = networks.find(one => one.id === id)
    if (network === undefined || network.rpc.length === 0) return null
    const known = readers.get(network)
    if (known !== undefined) return known
    const reader = lazily(network)
    readers.set(network, reader)
    return reader
  }
}

/** The chain client is large, and a gateway that loses no answer never needs it. */
function lazily(network: Network): ChainReader {
  let made: Promise<ChainReader> | null = null
  return {
    async look(transfer, hints) {
      made ??= import('./evm-chain.ts').then(({ createEvmChain }) => createEvmChain(network))
      return (await made).look(transfer, hints)
    },
  }
}
