"""What the desk on this machine gives its processes of the caller's environment."""

from pathlib import Path

from gsv_sandbox import desk

from gsv_ops.housekeeping import notify


def test_the_desk_is_given_every_setting_of_its_alerts_and_nothing_that_is_not_named(tmp_path: Path) -> None:
    settings = {
        name: f"https://{name}.example" for name in (*notify.URL_VARIABLES.values(), notify.DESK_URL_VARIABLE, notify.TOKEN_VARIABLE)
    }
    environment = {**settings, "GSV_ENVIRONMENT": "dev", desk.HOME_VARIABLE: str(tmp_path), "SOME_PASSWORD": "not for the desk"}
    for service in desk.services(environment):
        assert settings.items() <= service.environment.items()
        assert "SOME_PASSWORD" not in service.environment
        assert not any(value in service.fingerprint or value in " ".join(service.argv) for value in settings.values())
