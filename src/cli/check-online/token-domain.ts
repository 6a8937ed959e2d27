import { decodeFunctionResult, encodeFunctionData, parseAbi } from 'viem'
import type { Ask } from '../../networks/evm-rpc.ts'
import { type Domain, hashDomain } from '../../x402/eip712.ts'
import { foreignText } from '../foreign-text.ts'
import { type CallAnswer, callContract, wordOf } from './contract-reads.ts'

/** EIP-5267 `eip712Domain`; the others as USDC and OpenZeppelin have them. */
const ABI = parseAbi([
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
  'function name() view returns (string)',
  'function version() view returns (string)',
])

export type DomainCheck =
  | { readonly kind: 'same' }
  /** `told` is what the contract says its domain is, as far as it tells. */
  | { readonly kind: 'different'; readonly told: string | null }
  /** The contract tells nothing of its domain. */
  | { readonly kind: 'untold' }

/** name, version, chainId and verifyingContract, and neither salt nor extensions (EIP-5267). */
const USUAL_FIELDS = '0x0f'

/** Holds the domain that payments sign against the one that the contract checks them with. */
export async function checkDomain(ask: Ask, domain: Domain): Promise<DomainCheck> {
  const call = (functionName: 'DOMAIN_SEPARATOR' | 'eip712Domain' | 'name' | 'version') =>
    callContract(ask, {
      to: domain.verifyingContract,
      data: encodeFunctionData({ abi: ABI, functionName }),
    })
  const [separator, described] = await Promise.all([call('DOMAIN_SEPARATOR'), call('eip712Domain')])
  const ours = BigInt(`0x${Buffer.from(hashDomain(domain)).toString('hex')}`)
  const theirs = readDescribed(described)
  const hash = wordOf(separator) ?? (theirs === null ? null : hashOf(theirs))
  if (hash === null) return { kind: 'untold' }
  if (hash === ours) return { kind: 'same' }
  if (theirs !== null) return { kind: 'different', told: textOf(theirs) }
  const [name, version] = await Promise.all([call('name'), call('version')])
  const told = [
    ['name', readText(name, 'name')] as const,
    ['version', readText(version, 'version')] as const,
  ].flatMap(([what, text]) => (text === null ? [] : [`${what} ${quoted(text)}`]))
  return { kind: 'different', told: told.length === 0 ? null : told.join(', ') }
}

interface Described extends Domain {
  readonly version: string
  readonly usual: boolean
}

function readDescribed(answer: CallAnswer): Described | null {
  if (answer.kind === 'refused') return null
  try {
    const { data } = answer
    const [fields, name, version, chainId, verifyingContract, , extensions] = decodeFunctionResult({
      ...{ abi: ABI, functionName: 'eip712Domain', data },
    })
    const usual = fields === USUAL_FIELDS && extensions.length === 0
    return { name, version, chainId, verifyingContract, usual }
  } catch {
    return null
  }
}

/** A domain with other members has a hash that is none of ours: 0 is no hash of anything. */
function hashOf(described: Described): bigint {
  if (!described.usual) return 0n
  return BigInt(`0x${Buffer.from(hashDomain(described)).toString('hex')}`)
}

function textOf({ name, version, chainId, verifyingContract, usual }: Described): string {
  const members = `name ${quoted(name)}, version ${quoted(version)}, chain id ${chainId}`
  return `${members}, contract ${verifyingContract}${usual ? '' : ', and more or fewer members'}`
}

function readText(answer: CallAnswer, functionName: 'name' | 'version'): string | null {
  if (answer.kind === 'refused') return null
  try {
    return decodeFunctionResult({ abi: ABI, functionName, data: answer.data })
  } catch {
    return null
  }
}

function quoted(text: string): string {
  return JSON.stringify(foreignText(text, 64))
}
