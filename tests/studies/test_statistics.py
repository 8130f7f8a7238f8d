from sonoprior.studies.statistics import statistics


def test_what_the_intervals_speak_of_depends_on_the_protocol():
    plain = statistics("single_split")
    assert not any("Open set" in text or "share their test cases" in text for text in plain)
    assert "no network was trained with the classes that are tested" in statistics("open_set")[1]
    assert "share their test cases" in statistics("fixed_test")[2]
    assert [len(statistics(name)) for name in ("open_set", "fixed_test")] == [4, 4]
