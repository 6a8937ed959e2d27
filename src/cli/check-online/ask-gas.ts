import { formatEther } from 'viem'
import type { LocalFacilitatorConfig, LocalNetworkConfig } from '../../config/gateway-config.ts'
import { proposeFees } from '../../facilitator/local/fees.ts'
import { createSigner } from '../../facilitator/local/signer.ts'
import { type Ask, describeFailure } from '../../networks/evm-rpc.ts'
import { headAnswer, quantityAnswer } from '../../networks/evm-wire.ts'
import type { Network } from '../../networks/registry.ts'
import { type Finding, type FindingsAt, findingsAt } from './finding.ts'
import type { Inquiry } from './inquiry.ts'
import { firstAnswering } from './nodes.ts'

/** Settlements that a key must be able to pay for, or the operator is told. */
const FEW = 10n

/** Whether the keys of each facilitator that settles by itself can pay for gas. */
export async function askGas(inquiry: Inquiry): Promise<Finding[]> {
  const found = await Promise.all(
    inquiry.config.facilitators.flatMap((one, index) => {
      if (one.kind !== 'local') return []
      const at = findingsAt('gas', ['facilitators', index, 'local'])
      return one.networks.map(settled => askNetwork(one, settled, { inquiry, at }))
    }),
  )
  return found.flat()
}

async function askNetwork(
  local: LocalFacilitatorConfig,
  { id, feeCap }: LocalNetworkConfig,
  { inquiry, at }: { readonly inquiry: Inquiry; readonly at: FindingsAt },
): Promise<Finding[]> {
  const network = inquiry.config.networks.find(one => one.id === id)
  if (network === undefined) return []
  const node = await firstAnswering(network, inquiry.reportNodes)
  if (node === null) {
    const message = `what ${local.name} has for gas on ${network.name}: no node answers`
    return [at.notChecked(message, 'See what is said of its nodes.')]
  }
  try {
    const price = await readPrice(node.ask, feeCap)
    // Of a remote signer the file has the address, too: nobody is asked to sign.
    const addresses = local.keys.map(key => createSigner(key).address)
    const purses = await Promise.all(
      addresses.map(async address => ({
        address,
        wei: await node.ask('eth_getBalance', [address, 'latest'], quantityAnswer),
      })),
    )
    const costs = local.gasMax * price.wei
    const isAnyWell = purses.some(({ wei }) => wei >= costs)
    return [
      ...(price.isOverCap ? [overCap(network, feeCap, at)] : []),
      ...purses.map(purse => judgePurse(purse, { network, costs, isAnyWell, at })),
    ]
  } catch (error) {
    const message = `what ${local.name} has for gas on ${network.name}: ${describeFailure(error)}`
    return [at.warning(message, 'Run the check again, or name another node first.')]
  }
}

/** What a unit of gas is bought for now, in wei. Over the cap nothing is: then it is the cap. */
async function readPrice(
  ask: Ask,
  feeCap: bigint,
): Promise<{ readonly wei: bigint; readonly isOverCap: boolean }> {
  const [head, tip] = await Promise.all([
    ask('eth_getBlockByNumber', ['latest', false], headAnswer),
    // Some nodes do not say; it is the smaller part.
    ask('eth_maxPriorityFeePerGas', [], quantityAnswer).catch(() => 0n),
  ])
  const fees = proposeFees(head.baseFeePerGas ?? 0n, tip, feeCap)
  return { wei: fees?.maxFeePerGas ?? feeCap, isOverCap: fees === null }
}

function overCap({ name }: Network, feeCap: bigint, at: FindingsAt): Finding {
  return at.warning(
    `gas on ${name} costs more than maxFeePerGas (${feeCap} wei): nothing is settled meanwhile`,
    'Wait, or raise maxFeePerGas of the network.',
  )
}

function judgePurse(
  { address, wei }: { readonly address: string; readonly wei: bigint },
  asked: {
    readonly network: Network
    /** What one transaction may cost at most, in wei. */
    readonly costs: bigint
    /** Whether some key of the network can send. */
    readonly isAnyWell: boolean
    readonly at: FindingsAt
  },
): Finding {
  const { network, costs, isAnyWell, at } = asked
  const has = `${address} has ${formatEther(wei)} coins for gas on ${network.name}`
  const settlements = costs === 0n ? FEW : wei / costs
  if (wei > 0n && settlements >= FEW) return at.ok(`${has}, enough for now`)
  const lasts = wei > 0n && settlements > 0n ? `for ${settlements} at most` : 'for none'
  const message = `${has}: of settlements that use all of gasLimit, it lasts ${lasts}`
  const cure = `Send at least ${formatEther(costs * FEW)} of the chain's own coin to ${address}.`
  return isAnyWell ? at.warning(message, cure) : at.problem(message, cure)
}
