import type { Path } from '../../config/problems.ts'
import type { Tree } from '../../config/tree.ts'
import type { ChainBlock } from '../../networks/chain-reader.ts'
import { type Ask, blockTag, connectNode, describeFailure } from '../../networks/evm-rpc.ts'
import { blockAnswer, chainIdAnswer } from '../../networks/evm-wire.ts'
import type { Network } from '../../networks/registry.ts'
import { placeNode } from './placed-nodes.ts'

/** What one configured node said of itself. */
export type NodeReport = { readonly path: Path } & (
  | { readonly kind: 'silent'; readonly reason: string }
  | { readonly kind: 'other-chain'; readonly chainId: bigint }
  | AnsweringNode
)

export interface AnsweringNode {
  readonly kind: 'answers'
  readonly path: Path
  readonly ask: Ask
  readonly latest: ChainBlock
  /** How much older than our clock its newest block is; negative: it is ahead of us. */
  readonly ageSeconds: number
  /** Null where it has no `finalized` block; `latest` where a depth is configured instead. */
  readonly final: ChainBlock | null
}

/** The reports of a network's nodes, asked once however many questions need them. */
export type ReportNodes = (network: Network) => Promise<readonly NodeReport[]>

export function createNodeReports(document: Tree, callMs: number): ReportNodes {
  const reports = new Map<Network, Promise<readonly NodeReport[]>>()
  return network => {
    const known = reports.get(network)
    if (known !== undefined) return known
    const asked = Promise.all(
      network.rpc.map(url => reportNode(url, placeNode(document, network.name, url))),
    )
    reports.set(network, asked)
    return asked

    async function reportNode(url: string, path: Path): Promise<NodeReport> {
      try {
        const ask = connectNode(url, { callMs, retries: 0 })
        const [chainId, latest, final] = await Promise.all([
          ask('eth_chainId', [], chainIdAnswer),
          newestBlock(ask),
          network.finality === null ? finalizedBlock(ask) : null,
        ])
        if (network.id !== `eip155:${chainId}`) return { path, kind: 'other-chain', chainId }
        return { path, kind: 'answers', ask, ...latest, final: final ?? finalBy(network, latest) }
      } catch (error) {
        return { path, kind: 'silent', reason: describeFailure(error) }
      }
    }
  }
}

async function newestBlock(ask: Ask): Promise<{ latest: ChainBlock; ageSeconds: number }> {
  const askedAt = Date.now()
  const latest = await ask('eth_getBlockByNumber', [blockTag('latest'), false], blockAnswer)
  // The node answered somewhere between the two.
  const answeredAt = (askedAt + Date.now()) / 2
  return { latest, ageSeconds: answeredAt / 1000 - latest.timestamp }
}

/** A node without the tag answers null, an error, or something else that is no block. */
function finalizedBlock(ask: Ask): Promise<ChainBlock | null> {
  const asked = ask('eth_getBlockByNumber', [blockTag('finalized'), false], blockAnswer)
  return asked.catch(() => null)
}

function finalBy({ finality }: Network, { latest }: { latest: ChainBlock }): ChainBlock | null {
  return finality === null ? null : latest
}

/** The first node that can be asked about the chain. Null: none of them can. */
export async function firstAnswering(
  network: Network,
  reportNodes: ReportNodes,
): Promise<AnsweringNode | null> {
  return (await reportNodes(network)).find(report => report.kind === 'answers') ?? null
}
