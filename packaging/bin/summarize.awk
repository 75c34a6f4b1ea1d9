# Sums up what the suites of run-tests printed. Reads libtest's lines and those of the end-to-end runner:
#   test NAME ... ok | FAILED | ignored, REASON
#   SKIPPED NAME: WHY, of a test that libtest then counts as passed
#   test result: ok. 5 passed; 0 failed; 1 ignored; ...
#   PASS NAME | FAIL NAME: WHY | SKIP NAME: WHY
#   5 passed, 0 failed, 1 skipped
# and the marks of run-tests: "@suite NAME", "@status N". A suite that says it failed without naming a case counts as one
# failure: nothing that broke may look like nothing that ran.

function close_suite() {
    if (suite != "" && status != 0 && failed == failed_before) {
        failed++
        failures = failures "\n  " suite ": ended with status " status " (did it build?)"
    }
    if (suite != "" && status == 0 && passed + failed + skipped == total_before) {
        failed++
        failures = failures "\n  " suite ": ran no case"
    }
}

/^@suite / {
    close_suite()
    suite = substr($0, 8)
    status = -1
    failed_before = failed
    total_before = passed + failed + skipped
    next
}
/^@status / { status = $2; next }

/^test result: / {
    for (i = 1; i < NF; i++) {
        if ($(i + 1) == "passed;") passed += $i
        if ($(i + 1) == "failed;") failed += $i
        if ($(i + 1) == "ignored;") skipped += $i
    }
    next
}
/^test .* \.\.\. FAILED/ { sub(/^test /, ""); sub(/ \.\.\. FAILED.*/, ""); failures = failures "\n  " $0; next }
/^test .* \.\.\. ignored/ {
    sub(/^test /, ""); sub(/ \.\.\. ignored,? ?/, ": ")
    skips = skips "\n  " $0
    next
}

/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped/ { passed += $1; failed += $3; skipped += $5; next }
/^FAIL / { failures = failures "\n  " substr($0, 6); next }
/^SKIPPED / { skips = skips "\n  " substr($0, 9); skipped++; passed--; next }
/^SKIP / { skips = skips "\n  " substr($0, 6); next }

END {
    close_suite()
    if (skips != "") print "skipped:" skips
    if (failures != "") print "failed:" failures
    printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
    exit failed > 0
}
