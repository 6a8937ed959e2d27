import type { V1Networks } from '../facilitator/v1-translation.ts'
import type { NetworkRegistry } from './registry.ts'

/** What version 1 calls the networks of a registry. Aliases are read, never written. */
export function readV1Names(registry: NetworkRegistry): V1Networks {
  return {
    networkOf(name) {
      const network = registry.find(name)
      const isName = network?.v1Name === name || network?.aliases.includes(name) === true
      return isName ? network.id : null
    },
  }
}
