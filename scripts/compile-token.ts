/**
 * Compiles the test token and writes test/support/token/artifact.json.
 *
 * The artifact is committed: compiling takes seconds, and every test that needs a chain needs it.
 * Run it with `node scripts/compile-token.ts` after a change to a .sol file.
 */
import { writeFileSync } from 'node:fs'
import solc from 'solc'
import { z } from 'zod'
import { hashSources, readSources } from '../test/support/token/sources.ts'

const compiledContract = z.object({
  abi: z.array(z.unknown()),
  evm: z.object({ deployedBytecode: z.object({ object: z.string().regex(/^[0-9a-f]*$/) }) }),
})

const compilerOutput = z.object({
  errors: z.array(z.object({ severity: z.string(), formattedMessage: z.string() })).default([]),
  contracts: z.record(z.string(), z.record(z.string(), compiledContract)).default({}),
})

const sources = readSources()
const output = compilerOutput.parse(JSON.parse(solc.compile(JSON.stringify(compilerInput()))))
for (const { formattedMessage } of output.errors) console.error(formattedMessage)
if (output.errors.length > 0) process.exit(1)

const artifact = {
  solcVersion: solc.version(),
  sourceSha256: hashSources(sources),
  ...contract('TestDollar'),
  pie: contract('TestPie', 'TestTokens'),
  plainToken: contract('TestPlainToken', 'TestTokens'),
  permitDollar: contract('TestPermitDollar', 'TestTokens'),
  wallet: contract('TestWallet'),
  callBatch: contract('CallBatch'),
  permit2: contract('TestPermit2'),
  exactProxy: contract('TestExactProxy', 'TestPermit2'),
  walletFactory: contract('TestWalletFactory'),
}
const path = new URL('../test/support/token/artifact.json', import.meta.url)
writeFileSync(path, `${JSON.stringify(artifact, null, 1)}\n`)

function compilerInput() {
  return {
    language: 'Solidity',
    sources,
    settings: {
      // Anvil runs a newer hardfork; an older target keeps the bytecode stable.
      evmVersion: 'cancun',
      optimizer: { enabled: true, runs: 1000 },
      // Without this, the same source compiled in another folder gives other bytes.
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { '*': { '*': ['abi', 'evm.deployedBytecode.object'] } },
    },
  }
}

function contract(name: string, file = name) {
  const compiled = output.contracts[`${file}.sol`]?.[name]
  if (compiled === undefined) throw new Error(`The compiler returned no contract ${name}.`)
  return { abi: compiled.abi, deployedBytecode: `0x${compiled.evm.deployedBytecode.object}` }
}
