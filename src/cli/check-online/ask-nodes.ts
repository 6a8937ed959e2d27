import { BEHIND_SECONDS } from '../../networks/chain-views.ts'
import type { Network } from '../../networks/registry.ts'
import { type Finding, findingsAt } from './finding.ts'
import type { Inquiry } from './inquiry.ts'
import type { AnsweringNode, NodeReport } from './nodes.ts'

/** Whether every configured node can tell what became of a payment. */
export async function askNodes({ config, offers, reportNodes }: Inquiry): Promise<Finding[]> {
  const named = config.networks.filter(({ rpc }) => rpc.length > 0)
  const nameless = new Set(offers.map(({ network }) => network).filter(({ rpc }) => !rpc.length))
  const judged = await Promise.all(
    named.map(async network => {
      if (network.family !== 'evm') return [notEvm(network)]
      const reports = await reportNodes(network)
      return reports.map(report => judgeNode(report, network, reports))
    }),
  )
  return [...judged.flat(), ...[...nameless].map(network => noNode(network))]
}

function judgeNode(report: NodeReport, network: Network, all: readonly NodeReport[]): Finding {
  const at = findingsAt('rpc', report.path)
  if (report.kind === 'silent') {
    const others = all.some(({ kind }) => kind === 'answers')
    const message = `the node does not answer as one should: ${report.reason}`
    const cure = `Check the URL, its key and the provider's status.`
    return others ? at.warning(message, cure) : at.problem(message, cure)
  }
  if (report.kind === 'other-chain') {
    return at.problem(
      `the node serves chain ${report.chainId}, and ${network.name} is ${network.id}`,
      `Write the URL of a node of ${network.name}.`,
    )
  }
  return judgeAnswering(report, network)
}

function judgeAnswering({ path, ...report }: AnsweringNode, network: Network): Finding {
  const at = findingsAt('rpc', path)
  const { latest, ageSeconds, final } = report
  const age = `newest block ${latest.number}, ${Math.max(0, Math.round(ageSeconds))} s old`
  if (final === null) {
    return at.problem(
      'the node has no finalized block, so that a lost settlement could never be finished',
      `Write networks.${network.name}.finality: and a number of blocks, or name another node.`,
    )
  }
  if (ageSeconds > BEHIND_SECONDS) {
    return at.warning(
      `the node lags behind: ${age}`,
      'Name another node beside it; what a lagging node says ends no payment.',
    )
  }
  const finality =
    network.finality === null
      ? `finalized block ${final.number}`
      : `${network.finality} blocks are final`
  return at.ok(`the node answers for ${network.id}: ${age}, ${finality}`)
}

function notEvm(network: Network): Finding {
  const at = findingsAt('rpc', ['networks', network.name, 'rpc'])
  return at.notChecked(
    `the nodes of ${network.name}: farebox reads EVM chains only`,
    'Nothing reads them yet; they can be left out.',
  )
}

function noNode({ name }: Network): Finding {
  return findingsAt('rpc', ['networks', name, 'rpc']).notChecked(
    `token and receivers on ${name}: it has no rpc`,
    `Write networks.${name}.rpc: and the URL of a node.`,
  )
}
