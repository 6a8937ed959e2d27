import type { FacilitatorConfig, FacilitatorQuirks } from '../../src/config/gateway-config.ts'
import type { Supported } from '../../src/facilitator/facilitator.ts'
import { createHttpFacilitator } from '../../src/facilitator/http-client.ts'
import type { V1Networks } from '../../src/facilitator/v1-translation.ts'

const V1_NAMES = [
  ['eip155:84532', 'base-sepolia'],
  ['eip155:8453', 'base'],
  // An alias.
  ['eip155:84532', 'sepolia-of-base'],
] as const

export const v1Networks: V1Networks = {
  networkOf: name => V1_NAMES.find(([, given]) => given === name)?.[0] ?? null,
}

/** A service that does what the specification says. */
export const noQuirks: FacilitatorQuirks = {
  ...{ supported: null, otherUrls: [] },
}

/** A client of the facilitator at `url`, with time-outs long enough for a busy machine. */
export function connect(
  url: string,
  change: Partial<FacilitatorConfig> = {},
  lastSaid: Supported | null = null,
) {
  const config: FacilitatorConfig = {
    ...{ kind: 'http', name: 'test', preset: null, url, auth: { kind: 'none' }, quirks: noQuirks },
    ...{ headers: {}, timeoutMs: 10_000, settleTimeoutMs: 10_000, concurrency: 64 },
  }
  return createHttpFacilitator({ ...config, ...change }, v1Networks, lastSaid)
}

/** What `/supported` answers. */
export function supportedKinds(...kinds: [version: 1 | 2, network: string, scheme?: string][]) {
  return {
    kinds: kinds.map(([x402Version, network, scheme = 'exact']) => ({
      x402Version,
      scheme,
      network,
    })),
    extensions: [],
    signers: {},
  }
}
