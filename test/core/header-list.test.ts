import { expect, test } from 'vitest'
import { valuesOf, withoutHeaders } from '../../src/core/header-list.ts'

const headers = ['Accept', 'a', 'X-One', '1', 'ACCEPT', 'b', 'x-two', 'Accept']

test('values of a header are found in any spelling and in order, and never among values', () => {
  expect(valuesOf(headers, 'accept')).toEqual(['a', 'b'])
  expect(valuesOf(headers, 'x-two')).toEqual(['Accept'])
  expect(valuesOf(headers, 'x-three')).toEqual([])
})

test('headers that are stopped go with their values, and the others keep their order', () => {
  expect(withoutHeaders(headers, name => /^x-/i.test(name))).toEqual(['Accept', 'a', 'ACCEPT', 'b'])
  expect(withoutHeaders(headers, () => false)).toEqual(headers)
})
