// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

/// The one function of the public Multicall3 contract that facilitators use to find out why a
/// payment fails. Without it every such failure reads as "simulation failed".
contract CallBatch {
    struct Call {
        address target;
        bytes callData;
    }

    struct Result {
        bool success;
        bytes returnData;
    }

    function tryAggregate(bool requireSuccess, Call[] calldata calls)
        external
        payable
        returns (Result[] memory results)
    {
        results = new Result[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            (bool success, bytes memory returnData) = calls[i].target.call(calls[i].callData);
            require(success || !requireSuccess, "CallBatch: a call failed");
            results[i] = Result(success, returnData);
        }
    }
}
