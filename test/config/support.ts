import { loadFacilitatorPresets } from '../../src/config/facilitator-presets.ts'
import type { GatewayConfig } from '../../src/config/gateway-config.ts'
import { readConfig, readFacilitatorServiceConfig } from '../../src/config/load.ts'
import { formatProblem, type Problem } from '../../src/config/problems.ts'
import { loadNetworkRegistry } from '../../src/networks/registry.ts'

const networks = loadNetworkRegistry()
const presets = loadFacilitatorPresets()

export const PAY_TO = '0x209693Bc6afc0C5328bA36FaF03C514EF312287C'

/** A public test key's: nothing of value may be sent to it. */
export const SOLANA_PAY_TO = '7b1sPyi9WZV2NV3NJK4R1YGJd9QRgi7NYsAJ4A63ybru'

/** Everything but routes. */
export const HEAD = `version: 1
payTo: "${PAY_TO}"
accepts: [base-sepolia]
facilitators: [x402-org]
upstreams: {api: "http://localhost:3000"}
`

export function read(text: string, env: Record<string, string> = {}, directory = '/etc/farebox') {
  return readConfig(text, { file: 'gateway.yaml', env, networks, presets, directory })
}

/** The file of `farebox facilitator`. */
export function readService(text: string, env: Record<string, string> = {}) {
  const place = { file: 'facilitator.yaml', directory: '/etc/farebox' }
  return readFacilitatorServiceConfig(text, { ...place, env, networks, presets })
}

export function accepted(text: string, env: Record<string, string> = {}): GatewayConfig {
  const result = read(text, env)
  if (result.kind === 'loaded') return result.config
  throw new Error(result.problems.map(formatProblem).join('\n'))
}

export function problemsOf(text: string, env: Record<string, string> = {}): readonly Problem[] {
  const result = read(text, env)
  return result.kind === 'invalid' ? result.problems : []
}

/** "line:column item: message", as short as a table of cases wants it. */
export function brief(problems: readonly Problem[]): string[] {
  return problems.map(({ line, column, item, message }) => `${line}:${column} ${item}: ${message}`)
}
