import type { GatewayConfig } from '../../config/gateway-config.ts'
import type { Tree } from '../../config/tree.ts'
import type { Finding } from './finding.ts'
import type { ReportNodes } from './nodes.ts'
import type { PlacedOffer } from './placed-offers.ts'

/** What every question is asked with. */
export interface Inquiry {
  readonly config: GatewayConfig
  readonly document: Tree
  readonly offers: readonly PlacedOffer[]
  readonly reportNodes: ReportNodes
  /** How long one call may take. */
  readonly callMs: number
  /** Where buyers reach the gateway, instead of `server.publicUrl`; null: there. */
  readonly url: URL | null
  /** The path to ask for, instead of those of all priced routes without parameters. */
  readonly requestPath: string | null
}

/** Asks one question of the world. Rejects only when farebox itself is broken. */
export type Question = (inquiry: Inquiry) => Promise<readonly Finding[]>
